"""The features of a data set: keys, types, shapes and names, as meta/info.json lists them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel

CAMERA: Final = "observation.images.camera"
STATE: Final = "observation.state"
ACTION: Final = "action"
FOLLOWING: Final = "observation.teleop.following"
FLOAT: Final = "float32"
BOOL: Final = "bool"
INTEGER: Final = "int64"
_WRIST_NAMES: Final = ("x_m", "y_m", "z_m", "qx", "qy", "qz", "qw")


@dataclass(frozen=True)
class Feature:
    """A column: dtype 'float32', 'bool' or 'int64', shape (k,) of one frame's value, and names of its k elements.

    One axis only: LeRobot 0.6.1 reads features of two, but its tools that delete or split episodes fail on them.
    """

    dtype: str
    shape: tuple[int]
    names: Sequence[str] | None = None

    def to_json(self) -> dict[str, Any]:
        """The entry of meta/info.json."""
        return {"dtype": self.dtype, "shape": list(self.shape), "names": self.names and list(self.names)}


INDEX_FEATURES: Final = {
    "timestamp": Feature(FLOAT, (1,)),
    "frame_index": Feature(INTEGER, (1,)),
    "episode_index": Feature(INTEGER, (1,)),
    "index": Feature(INTEGER, (1,)),
    "task_index": Feature(INTEGER, (1,)),
}
"""The columns that every data set has, last."""


@dataclass(frozen=True)
class DatasetLayout:
    """Columns of a data set, and its images.

    image_size: (width, height), even numbers, as the video needs them.
    sides: of the hands. state_names, action_names: of the robot's values; empty without a robot.
    following: whether the hand_teleop's state is there. camera: the calibration; None if it is not known.
    """

    image_size: tuple[int, int]
    sides: tuple[str, ...]
    state_names: tuple[str, ...] = ()
    action_names: tuple[str, ...] = ()
    following: bool = False
    camera: CameraModel | None = None
    columns: dict[str, Feature] = field(init=False)
    """Key -> feature, without the images and :data:`INDEX_FEATURES`."""

    def __post_init__(self) -> None:
        columns: dict[str, Feature] = {}
        for side in self.sides:
            columns |= _hand_features(side)
        if self.state_names:
            columns[STATE] = Feature(FLOAT, (len(self.state_names),), list(self.state_names))
        if self.following:
            columns[FOLLOWING] = Feature(BOOL, (1,), ["following"])
        if self.action_names:
            columns[ACTION] = Feature(FLOAT, (len(self.action_names),), list(self.action_names))
        object.__setattr__(self, "columns", columns)

    def to_json(self, video: dict[str, Any]) -> dict[str, Any]:
        """The ``features`` of meta/info.json; ``video``: what is known of the camera's video."""
        width, height = self.image_size
        camera = {"dtype": "video", "shape": [height, width, 3], "names": ["height", "width", "channels"]}
        listed = {key: feature.to_json() for key, feature in (self.columns | INDEX_FEATURES).items()}
        return {CAMERA: camera | {"info": video | _calibration(self.camera)}, **listed}


def _calibration(camera: CameraModel | None) -> dict[str, Any]:
    """Entries of the camera's ``info``: pixels of the image, coefficients in OpenCV's order."""
    if camera is None:
        return {}
    lens = {"camera.distortion_model": camera.distortion_model, "camera.distortion": list(camera.distortion)}
    return {f"camera.{name}": getattr(camera, name) for name in ("fx", "fy", "cx", "cy")} | lens


def hand_key(side: str, name: str) -> str:
    """Key of a hand's feature: ``observation.hand.left.joints_m``."""
    return f"observation.hand.{side}.{name}"


def _hand_features(side: str) -> dict[str, Feature]:
    joints, angles = list(hand.JOINT_NAMES), list(hand.ANGLE_NAMES)
    coordinates = [f"{joint}_{axis}" for joint in joints for axis in "xyz"]
    features = {
        "joints_m": Feature(FLOAT, (len(coordinates),), coordinates),
        "sigma_m": Feature(FLOAT, (hand.NUM_JOINTS,), joints),
        "wrist_pose": Feature(FLOAT, (len(_WRIST_NAMES),), list(_WRIST_NAMES)),
        "angles_rad": Feature(FLOAT, (len(angles),), angles),
        "valid": Feature(BOOL, (1,), ["valid"]),
    }
    return {hand_key(side, name): feature for name, feature in features.items()}


def check_columns(columns: dict[str, Feature], values: dict[str, np.ndarray], count: int) -> None:
    """Check the values of an episode: one row a frame, of the feature's shape and type.

    Raises:
        ValueError: a column is missing, unknown, or of another shape or type.
    """
    if columns.keys() != values.keys():
        raise ValueError(f"the columns {_names(columns.keys() ^ values.keys())} are missing or unknown")
    for key, feature in columns.items():
        shape = (count,) if feature.shape == (1,) else (count, *feature.shape)
        given = values[key]
        if given.shape != shape or given.dtype != np.dtype(feature.dtype):
            raise ValueError(
                f"{key} has values {given.shape} {given.dtype}, expected {shape} {feature.dtype}"
            )


def _names(keys: Sequence[str] | set[str]) -> str:
    return ", ".join(sorted(keys))
