"""One hand for evaluation: the input of an estimator, and the true joints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.pose import Detection


@dataclass(frozen=True)
class Observation:
    """A detected hand with labels.

    image: returns the image, (H, W, 3) uint8 BGR, of the camera's size.
    joints_m: (21, 3) true joints in the camera frame, NaN where unlabelled.
    points_px: (21, 2) their true image points, NaN where unlabelled.
    hidden, outside: (21,) bool, whether the hand itself hides a joint, and whether the joint lies outside the
        image; None if unknown.
    """

    image: Callable[[], np.ndarray]
    camera: CameraModel
    detection: Detection
    joints_m: np.ndarray
    points_px: np.ndarray
    hidden: np.ndarray | None = None
    outside: np.ndarray | None = None
