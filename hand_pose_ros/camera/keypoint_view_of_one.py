"""The canonical view of one hand's keypoints in NumPy: the same as :func:`view_keypoints`, for live use.

PyTorch spends microseconds on each operation, however small: for one hand a view takes it seven times as long.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import CENTRING_STEPS, LEAST_TURN, MIN_DEPTH, MIN_EXTENT, TINY
from hand_pose_ros.common.shapes import Array

_KNUCKLES: Final = list(hand.KNUCKLES)


class ViewOfOne(NamedTuple):
    """One view; fields as those of :class:`~hand_pose_ros.camera.keypoint_view.KeypointView`, float64.

    rotation: (3, 3). half_extent: tangent. points: (21, 2), NaN where missing.
    """

    rotation: Array
    half_extent: float
    points: Array


def view_keypoints_of_one(rays: Array) -> ViewOfOne:
    """See :func:`~hand_pose_ros.camera.keypoint_view.view_keypoints`.

    Args:
        rays: (21, 3) float64 of any length, from the camera through the keypoints; NaN where missing.

    Raises:
        ValueError: a wrong shape.
    """
    if rays.shape != (hand.NUM_JOINTS, 3):
        raise ValueError(f"rays must have shape ({hand.NUM_JOINTS}, 3), got {rays.shape}")
    rays = rays / np.maximum(np.sqrt((rays * rays).sum(-1, keepdims=True)), TINY)
    known = np.isfinite(rays).all(-1)
    rotation = _rotation_to_z(*rays[known].sum(0).tolist())
    for _ in range(CENTRING_STEPS):
        points = _in_view(rays, rotation)
        roll = _palm_up(points)
        turned = points @ roll[:2, :2].T
        turned = turned[np.isfinite(turned).all(-1)]
        x, y = ((turned.min(0) + turned.max(0)) / 2).tolist() if len(turned) else (0.0, 0.0)
        rotation = _rotation_to_z(x, y, 1.0) @ roll @ rotation
    rotation = _palm_up(_in_view(rays, rotation)) @ rotation
    points = _in_view(rays, rotation)
    seen = np.isfinite(points).all(-1)
    largest = float(np.abs(points[seen]).max()) if seen.any() else 0.0
    half_extent = max(largest, MIN_EXTENT)
    points = points / half_extent if seen.sum() >= 2 else np.full_like(points, np.nan)
    return ViewOfOne(rotation, half_extent, points)


def _in_view(rays: Array, rotation: Array) -> Array:
    """Normalised coordinates (21, 2); NaN for points beside or behind the view."""
    turned = rays @ rotation.T
    depth = turned[:, 2:]
    return turned[:, :2] / np.where(depth > MIN_DEPTH, depth, np.nan)


def _palm_up(points: Array) -> Array:
    """Rotation (3, 3) about z that turns wrist -> mean of the MCPs onto the image's up, which is -y."""
    knuckles = points[_KNUCKLES]
    knuckles = knuckles[np.isfinite(knuckles).all(-1)]
    if not len(knuckles):
        return np.eye(3)
    x, y = (knuckles.sum(0) / len(knuckles) - points[hand.WRIST]).tolist()
    length = math.hypot(x, y)
    if not length >= MIN_EXTENT:  # also NaN
        return np.eye(3)
    sine, cosine = -x / length, -y / length
    return np.array(((cosine, -sine, 0.0), (sine, cosine, 0.0), (0.0, 0.0, 1.0)))


def _rotation_to_z(x: float, y: float, z: float) -> Array:
    """The rotation (3, 3) of least angle that turns a direction of any length onto the z axis."""
    length = max(math.sqrt(x * x + y * y + z * z), TINY)
    x, y, z = x / length, y / length, z / length
    k = 1 / max(1 + z, LEAST_TURN)
    return np.array(((1 - x * x * k, -x * y * k, -x), (-x * y * k, 1 - y * y * k, -y), (x, y, z)))
