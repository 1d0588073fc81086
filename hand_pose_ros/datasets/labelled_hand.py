"""Labelled hands: what a data set says of one hand in one image, and the same with a detection, for evaluation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.datasets.joint_orders import wrist_from_palm_centre
from hand_pose_ros.datasets.storage.files import OR_SKIP, MalformedFileError, read_image
from hand_pose_ros.pose import Detection


@dataclass(frozen=True, eq=False)
class LabelledHand:
    """One labelled hand in an image; unknown values are NaN or None. Arrays must not be written to.

    path: the image's file; hands of one image have the same path.
    side: 'left' or 'right'.
    camera: of this image (of the crop, if the set's images are cut out); None if the set has no intrinsics.
    joints_m: (21, 3) camera frame (x right, y down, z forward), metres; only the fingertips in some sets.
    points_px: (21, 2) in the image.
    visible: (21,) bool, whether a joint can be seen; None if the set does not say.
    palm_root: joint 0 is the centre of the palm (STB), not the wrist.
    vertices_m: (V, 3) camera frame. faces: (F, 3) of ``vertices_m``.
    box_px: (4,) x0, y0, x1, y1, the set's own box of the hand, for sets that withhold the joints.
    head_size_px: size of the person's head in the image, which scales the errors of MPII + NZSL.
    read_mask: returns the pixels (H, W) bool that show this hand; None if the set has no segmentation.
    subject, sequence, camera_name: names in the set; '' if it has none. frame: number of the image in its
    sequence. group: the part of the set that protocols score apart, such as 'single' and 'interacting'.
    """

    path: Path
    side: str
    camera: CameraModel | None
    joints_m: np.ndarray
    points_px: np.ndarray
    visible: np.ndarray | None = None
    palm_root: bool = False
    vertices_m: np.ndarray | None = None
    faces: np.ndarray | None = None
    box_px: np.ndarray | None = None
    head_size_px: float | None = None
    read_mask: Callable[[], np.ndarray] | None = None
    subject: str = ""
    sequence: str = ""
    camera_name: str = ""
    frame: int = 0
    group: str = ""

    def __post_init__(self) -> None:
        hand.check_side(self.side)
        for name, size in (("joints_m", 3), ("points_px", 2)):
            shape = getattr(self, name).shape
            if shape != (hand.NUM_JOINTS, size):
                raise ValueError(f"{name} must be ({hand.NUM_JOINTS}, {size}), got {shape}")

    def image(self) -> np.ndarray:
        """Read the image, (H, W, 3) uint8 BGR.

        Raises:
            MalformedFileError: the file is missing, not an image, or not of the camera's size.
        """
        size = None if self.camera is None else (self.camera.width, self.camera.height)
        try:
            return read_image(self.path, size)
        except MalformedFileError as error:
            raise error.advised(OR_SKIP) from error

    @property
    def known(self) -> np.ndarray:
        """(21,) bool, whether the 3D joint is labelled."""
        return np.isfinite(self.joints_m).all(-1)

    @property
    def joints_with_wrist_m(self) -> np.ndarray:
        """``joints_m``, with a palm centre replaced by an estimate of the wrist."""
        return wrist_from_palm_centre(self.joints_m) if self.palm_root else self.joints_m


@dataclass(frozen=True)
class Observation:
    """A detected hand with labels.

    image: returns the image, (H, W, 3) uint8 BGR, of the camera's size.
    joints_m: (21, 3) true joints in the camera frame, NaN where unlabelled.
    points_px: (21, 2) their true image points, NaN where unlabelled.
    hidden, outside: (21,) bool, whether the hand itself hides a joint, and whether the joint lies outside the
        image; None if unknown.
    subject: name of the person, whose hands have one size; '' if unknown.
    """

    image: Callable[[], np.ndarray]
    camera: CameraModel
    detection: Detection
    joints_m: np.ndarray
    points_px: np.ndarray
    hidden: np.ndarray | None = None
    outside: np.ndarray | None = None
    subject: str = ""
