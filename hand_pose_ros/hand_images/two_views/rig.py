"""Reads a rig: two synchronised videos, and the calibration of their cameras in a common frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from hand_pose_ros.camera.distortion import PLUMB_BOB
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.files.bounded_text import shown
from hand_pose_ros.files.safe_yaml import read_yaml
from hand_pose_ros.hand_images.two_views.triangulation import View

_KEYS: Final = {"video", "width", "height", "K", "D", "R", "T"}
_ORTHOGONAL: Final = 1e-2


@dataclass(frozen=True)
class RigCamera:
    """One camera of a rig: its video, its lens, and its place."""

    video: Path
    camera: CameraModel
    view: View


def read_rig(path: str | Path) -> tuple[RigCamera, RigCamera]:
    """Read a rig's YAML file.

    It has one key, ``cameras``, with two entries: ``video``, a path relative to the file; ``width`` and
    ``height`` in pixels; ``K``, 3 x 3; ``D``, OpenCV's coefficients, may be empty; ``R``, 3 x 3, and ``T``,
    3, from the common frame to the camera, in any unit.

    Raises:
        ValueError: the file cannot be read, or has another form; the message says what is wrong.
    """
    path = Path(path)
    try:
        document = read_yaml(path)
        entries = document["cameras"] if isinstance(document, Mapping) else None
        if not isinstance(entries, list) or len(entries) != 2:
            raise ValueError("`cameras` must be a list of two")
        first, second = (_camera(one, path.parent) for one in entries)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} does not describe two cameras: {shown(error, 300)}") from error
    return first, second


def _camera(entry: Any, folder: Path) -> RigCamera:
    if not isinstance(entry, Mapping) or entry.keys() != _KEYS:
        raise ValueError(f"a camera has the keys {', '.join(sorted(_KEYS))}")
    k, rotation = (np.array(entry[name], np.float64).reshape(3, 3) for name in ("K", "R"))
    translation = np.array(entry["T"], np.float64).reshape(3)
    if not np.isfinite(translation).all() or not np.allclose(
        rotation @ rotation.T, np.eye(3), atol=_ORTHOGONAL
    ):
        raise ValueError("R must be a rotation and T finite")
    distortion = tuple(float(value) for value in entry["D"])
    camera = CameraModel.from_matrix(
        int(entry["width"]),
        int(entry["height"]),
        k.ravel().tolist(),
        PLUMB_BOB if distortion else "",
        distortion,
    )
    return RigCamera(folder / str(entry["video"]), camera, View(rotation, translation))
