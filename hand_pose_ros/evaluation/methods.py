"""The estimators to compare on the same detections: the detector's own 3D, its 3D placed by PnP, and ours."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.estimator.pipeline import PoseEstimator
from hand_pose_ros.pose import Detection

Method = Callable[[np.ndarray, CameraModel, Detection], np.ndarray]
"""(image, camera, detection) -> joints (21, 3) in metres; NaN where the method fails."""
_MIN_PNP_POINTS = 4


def detector_3d(image_bgr: np.ndarray, camera: CameraModel, detection: Detection) -> np.ndarray:
    """The detector's 3D landmarks as they are: of an arbitrary origin, so only relative metrics mean anything."""
    return detection.landmarks_m


def detector_with_pnp(image_bgr: np.ndarray, camera: CameraModel, detection: Detection) -> np.ndarray:
    """The detector's 3D landmarks, placed so that they project onto its 2D landmarks (OpenCV's SQPnP)."""
    points = camera.undistort_points(torch.from_numpy(detection.landmarks_px)).numpy()
    known = np.isfinite(points).all(1) & np.isfinite(detection.landmarks_m).all(1)
    failed = np.full_like(detection.landmarks_m, np.nan)
    if known.sum() < _MIN_PNP_POINTS:
        return failed
    found, turn, shift = cv2.solvePnP(
        detection.landmarks_m[known], points[known], camera.K.numpy(), None, flags=cv2.SOLVEPNP_SQPNP
    )
    return detection.landmarks_m @ cv2.Rodrigues(turn)[0].T + shift.T if found else failed


def estimator_method(estimator: PoseEstimator) -> Method:
    """One of our estimators, as a method."""

    def method(image_bgr: np.ndarray, camera: CameraModel, detection: Detection) -> np.ndarray:
        return estimator.estimate(image_bgr, camera, [detection])[0].joints_m

    return method
