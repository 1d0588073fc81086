"""Frames for tests that look at no image, and what an estimator makes of one."""

from __future__ import annotations

import numpy as np

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.estimator.estimate import PoseEstimator
from hand_pose_ros.estimator.placement import place
from hand_pose_ros.pose import Detection, Frame, HandPose


def blank_frame(camera: CameraModel, time_s: float | None = None) -> Frame:
    """A black image of a camera."""
    return Frame(np.zeros((camera.height, camera.width, 3), np.uint8), camera, time_s)


def poses(estimator: PoseEstimator, frame: Frame, found: list[Detection]) -> list[HandPose]:
    """What an estimator makes of a frame's detections, placed."""
    return place(estimator.estimate(frame, found))
