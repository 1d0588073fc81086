"""Reads the scale from two calibrated cameras that see the same hand at the same time."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.estimator.size.known_depth import SizeRatio
from hand_pose_ros.pose import HandPose

_LEAST_BONES: Final = 8
_LEAST_ANGLE_RAD: Final = 0.05  # between the two rays of a joint; with less, depth is noise
_FARTHEST_SHARE: Final = 0.05  # of the distance, between the two rays of a joint
_BASELINE: Final = 0.01  # systematic error of the cameras' calibration, as a share


def triangulate(
    points_px: np.ndarray,
    camera: CameraModel,
    other_points_px: np.ndarray,
    other_camera: CameraModel,
    T_camera_other: np.ndarray,
) -> np.ndarray:
    """Joints (21, 3), metres, frame of ``camera``, in the middle between the two rays of each joint.

    NaN for a joint that is missing in an image, whose rays are nearly parallel, or whose rays pass each other by
    more than 5 % of the distance.

    Args:
        points_px, other_points_px: (21, 2) the same joints in both images, NaN where missing.
        T_camera_other: (4, 4) maps coordinates of ``other_camera``'s frame to ``camera``'s, metres.

    Raises:
        ValueError: a wrong shape.
    """
    if np.shape(T_camera_other) != (4, 4):
        raise ValueError(f"T_camera_other must be (4, 4), got {np.shape(T_camera_other)}")
    first = _unit_rays(camera, points_px)
    second = _unit_rays(other_camera, other_points_px) @ T_camera_other[:3, :3].T
    origin = T_camera_other[:3, 3]
    cosine = (first * second).sum(-1)
    # The nearest points a * first and origin + b * second are perpendicular to both rays.
    sine2 = 1 - cosine**2
    with np.errstate(divide="ignore", invalid="ignore"):
        along = ((first - cosine[:, None] * second) @ origin) / sine2
        other_along = ((cosine[:, None] * first - second) @ origin) / sine2
    ends = along[:, None] * first, origin + other_along[:, None] * second
    gap = np.linalg.norm(ends[0] - ends[1], axis=-1)
    good = (along > 0) & (other_along > 0) & (np.sqrt(np.maximum(sine2, 0)) > _LEAST_ANGLE_RAD)
    good &= gap < _FARTHEST_SHARE * along
    return np.where(good[:, None], (ends[0] + ends[1]) / 2, np.nan)


def ratio_from_joints(pose: HandPose, joints_m: np.ndarray) -> SizeRatio | None:
    """By which factor an estimated hand must grow to have the bones of measured joints; None with too few bones.

    Args:
        joints_m: (21, 3) measured, metres, in any frame, NaN where missing; such as :func:`triangulate` gives.
    """
    parents, children = (list(ends) for ends in zip(*hand.BONES, strict=True))
    estimated, measured = (
        np.linalg.norm(joints[children] - joints[parents], axis=-1) for joints in (pose.joints_m, joints_m)
    )
    known = np.isfinite(measured)
    if known.sum() < _LEAST_BONES:
        return None
    estimated, measured = estimated[known], measured[known]
    value = float((estimated * measured).sum() / np.square(estimated).sum())
    residual = np.square(measured - value * estimated).sum() / (known.sum() - 1)
    noise = np.sqrt(residual / np.square(estimated).sum()) / value
    return SizeRatio(value, float(np.hypot(noise, _BASELINE)))


def _unit_rays(camera: CameraModel, points_px: np.ndarray) -> np.ndarray:
    rays = camera.rays(torch.from_numpy(np.asarray(points_px, float))).numpy()
    return rays / np.linalg.norm(rays, axis=-1, keepdims=True)
