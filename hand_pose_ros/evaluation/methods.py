"""Defines the methods to compare: the detector's own 3D, its 3D placed by PnP, and the estimators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import view_box
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.datasets.labelled_hand import Observation
from hand_pose_ros.detection.mediapipe.crop import RotatedSquare
from hand_pose_ros.estimator.estimate import PoseEstimator
from hand_pose_ros.estimator.placement import place
from hand_pose_ros.estimator.smoothing import EstimateSmoother
from hand_pose_ros.pose import Detection, Frame, HandPose

_MIN_PNP_POINTS = 4


@dataclass(frozen=True)
class Prediction:
    """Prediction of n hands by a method; NaN where it fails, or does not give a quantity.

    joints_m: (n, 21, 3) in the camera frame; if not ``is_placed``, with its axes only.
    size_m: (n,) the anchor length that the method assumed.
    angles_rad: (n, 38). proportions: (n, 20). covariance_m2: (n, 21, 3, 3) of the joints.
    turn_sigma_rad: (n,) standard deviation of the wrist's rotation, over all axes; None if the method has none.
    """

    joints_m: np.ndarray
    size_m: np.ndarray
    angles_rad: np.ndarray
    proportions: np.ndarray
    covariance_m2: np.ndarray
    is_placed: bool = True
    turn_sigma_rad: np.ndarray | None = None

    @classmethod
    def of_joints(
        cls, joints_m: np.ndarray, size_m: np.ndarray | None = None, is_placed: bool = True
    ) -> Prediction:
        """Make the prediction of a method that gives joints only; by default their anchor bone is the size."""
        count = len(joints_m)
        if size_m is None:
            parent, child = hand.BONES[hand.ANCHOR_BONE]
            size_m = np.asarray(np.linalg.norm(joints_m[:, child] - joints_m[:, parent], axis=-1))
        shapes = ((hand.NUM_ANGLES,), (hand.NUM_BONES,), (hand.NUM_JOINTS, 3, 3))
        angles, proportions, covariance = (np.full((count, *shape), np.nan) for shape in shapes)
        return cls(joints_m, size_m, angles, proportions, covariance, is_placed)

    @classmethod
    def of_poses(cls, poses: Sequence[HandPose]) -> Prediction:
        """Make the prediction of an estimator."""
        return cls(
            np.stack([pose.joints_m for pose in poses]),
            np.array([pose.anchor_length_m for pose in poses]),
            np.stack([pose.angles_rad for pose in poses]),
            np.stack([pose.proportions for pose in poses]),
            np.stack([pose.covariance_m2 for pose in poses]),
            turn_sigma_rad=np.array([np.sqrt(np.trace(pose.wrist_covariance[3:, 3:])) for pose in poses]),
        )

    def select(self, rows: np.ndarray) -> Prediction:
        """Return some of the hands."""
        arrays = {name: value[rows] for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(self, **arrays)


Method = Callable[[Sequence[Observation]], Prediction]
"""A function that predicts all hands of a set."""


def detector_3d(observations: Sequence[Observation]) -> Prediction:
    """Return the detector's 3D landmarks, which have a shape, a size and an orientation but no place."""
    landmarks = [in_camera_axes(one.camera, one.detection) for one in observations]
    return Prediction.of_joints(np.stack(landmarks), is_placed=False)


def in_camera_axes(camera: CameraModel, detection: Detection) -> np.ndarray:
    """Rotate MediaPipe's 3D landmarks (21, 3), metres, from its crop's axes to the camera's.

    The crop's z axis is the ray through its middle; the rotation of least angle maps it to the camera's.
    """
    assert detection.landmarks_m is not None
    return detection.landmarks_m @ crop_rotation(camera, detection)


def crop_rotation(camera: CameraModel, detection: Detection) -> np.ndarray:
    """Return the rotation (3, 3) that maps camera coordinates to the axes of MediaPipe's 3D landmarks."""
    assert detection.landmarks_px is not None
    centre = RotatedSquare.around_landmarks(detection.landmarks_px).centre_px
    return view_box(camera.rays(torch.from_numpy(centre)[None])).rotation.numpy()


def detector_with_pnp(observations: Sequence[Observation]) -> Prediction:
    """Place the detector's 3D landmarks so that they project onto its 2D landmarks (OpenCV's SQPnP)."""
    return Prediction.of_joints(np.stack([_placed_by_pnp(o.camera, o.detection) for o in observations]))


def estimator_method(estimator: PoseEstimator, smoothers: Sequence[EstimateSmoother] = ()) -> Method:
    """Return the method that calls an estimator, and then smoothers, hand by hand, as the node does."""

    def method(observations: Sequence[Observation]) -> Prediction:
        poses = []
        for observation in observations:
            for part in (estimator, *smoothers):
                part.reset()
            frame = Frame(observation.image(), observation.camera)
            estimate = estimator.estimate(frame, [observation.detection])
            for smoother in smoothers:
                estimate = smoother.smooth(estimate, 0.0)
            poses += place(estimate)
        return Prediction.of_poses(poses)

    return method


def _placed_by_pnp(camera: CameraModel, detection: Detection) -> np.ndarray:
    assert detection.landmarks_px is not None
    assert detection.landmarks_m is not None
    points = camera.undistort_points(torch.from_numpy(detection.landmarks_px)).numpy()
    known = np.isfinite(points).all(1) & np.isfinite(detection.landmarks_m).all(1)
    failed = np.full_like(detection.landmarks_m, np.nan)
    if known.sum() < _MIN_PNP_POINTS:
        return failed
    found, turn, shift = cv2.solvePnP(
        detection.landmarks_m[known], points[known], camera.K.numpy(), np.zeros(4), flags=cv2.SOLVEPNP_SQPNP
    )
    return detection.landmarks_m @ cv2.Rodrigues(turn)[0].T + shift.T if found else failed
