"""Triangulates a hand's landmarks from two calibrated views: labels with true depth and tilt on photos."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.scale import scale_from_mean_lengths

MAX_MISFIT: Final = 0.06
"""Largest distance of a joint's image from a landmark, as a share of the hand's extent in that view."""
MAX_STRETCH: Final = 1.35
"""A bone that is longer or shorter than its median over the clip by this factor is a wrong joint."""
MIN_ANGLE_RAD: Final = 0.15
_STEPS: Final = 3  # of Gauss-Newton


class View(NamedTuple):
    """A camera at a place in a common frame, any unit.

    rotation: (3, 3) R_camera_common. translation: (3,), so that ``x_camera = rotation @ x + translation``.
    """

    rotation: np.ndarray
    translation: np.ndarray

    @property
    def centre(self) -> np.ndarray:
        """Position (3,) of the camera in the common frame."""
        return -self.rotation.T @ self.translation


def triangulate(first: np.ndarray, second: np.ndarray, views: tuple[View, View]) -> np.ndarray:
    """Return the points (..., 3) of the common frame that two cameras see, least squares in the images.

    Args:
        first, second: (..., 2) undistorted normalised image points in each view; NaN where missing.

    Returns:
        NaN for points that are missing in a view, whose rays are nearly parallel, or that lie behind a camera.
    """
    seen = [np.asarray(points, np.float64) for points in (first, second)]
    rays = [_directions(points, view) for points, view in zip(seen, views, strict=True)]
    cosine = np.clip((rays[0] * rays[1]).sum(-1), -1, 1)
    points = _midpoint(rays, views)
    for _ in range(_STEPS):
        points = points - _step(points, seen, views)
    usable = np.arccos(cosine) > MIN_ANGLE_RAD
    for view in views:
        usable &= (points @ view.rotation.T + view.translation)[..., 2] > 0
    return np.where(usable[..., None], points, np.nan)


def misfit(points: np.ndarray, seen: np.ndarray, view: View) -> np.ndarray:
    """Return the distances (n, 21) of projected points (n, 21, 3) from normalised image points (n, 21, 2).

    The unit is the hand's extent in that view.
    """
    extent = np.ptp(seen, axis=-2).max(-1, keepdims=True)
    return np.linalg.norm(_projected(points, view) - seen, axis=-1) / extent


def consistent_joints(
    joints: np.ndarray, seen: tuple[np.ndarray, np.ndarray], views: tuple[View, View]
) -> np.ndarray:
    """Return a clip's joints (n, 21, 3) without the wrong ones, which become NaN.

    A joint is wrong if it misses a landmark by more than ``MAX_MISFIT``, or if its bone differs from the bone's
    median length over the clip by more than ``MAX_STRETCH``.
    """
    worst = np.max([misfit(joints, points, view) for points, view in zip(seen, views, strict=True)], axis=0)
    kept = np.where((worst <= MAX_MISFIT)[..., None], joints, np.nan)
    parents, children = (list(ends) for ends in zip(*hand.BONES, strict=True))
    lengths = np.linalg.norm(kept[:, children] - kept[:, parents], axis=-1)
    with np.errstate(all="ignore"):
        stretch = np.abs(np.log(lengths / np.nanmedian(lengths, axis=0)))
    wrong = stretch > np.log(MAX_STRETCH)
    for bone, child in enumerate(children):
        kept[wrong[:, bone], child] = np.nan
    return kept


def metric_scale(joints: np.ndarray) -> float:
    """Return the metres per unit of a clip's joints (n, 21, 3) at which the bones have the mean lengths of adults.

    Raises:
        ValueError: no hand has a bone.
    """
    scales: Tensor = scale_from_mean_lengths(torch.from_numpy(joints))
    if not bool(scales.isfinite().any()):
        raise ValueError("no hand is known well enough in both views")
    return float(scales.nanmedian())


def _directions(points: np.ndarray, view: View) -> np.ndarray:
    rays = np.concatenate((points, np.ones_like(points[..., :1])), axis=-1) @ view.rotation
    return rays / np.linalg.norm(rays, axis=-1, keepdims=True)


def _midpoint(rays: list[np.ndarray], views: tuple[View, View]) -> np.ndarray:
    """Return the points (..., 3) nearest to both rays."""
    across = [np.eye(3) - ray[..., :, None] * ray[..., None, :] for ray in rays]
    right = sum(one @ view.centre for one, view in zip(across, views, strict=True))
    known = np.isfinite(right).all(-1)
    matrix = np.where(known[..., None, None], across[0] + across[1], np.eye(3))
    return np.linalg.solve(matrix + 1e-12 * np.eye(3), np.asarray(right)[..., None])[..., 0]


def _projected(points: np.ndarray, view: View) -> np.ndarray:
    in_camera = points @ view.rotation.T + view.translation
    return in_camera[..., :2] / in_camera[..., 2:]


def _step(points: np.ndarray, seen: list[np.ndarray], views: tuple[View, View]) -> np.ndarray:
    """Return the Gauss-Newton step (..., 3) of the image errors in both views."""
    jacobians, errors = [], []
    for image, view in zip(seen, views, strict=True):
        in_camera = points @ view.rotation.T + view.translation
        depth = in_camera[..., 2:, None]
        projected = in_camera[..., :2] / in_camera[..., 2:]
        jacobians.append((view.rotation[:2] - projected[..., None] * view.rotation[2]) / depth)
        errors.append(projected - image)
    jacobian, error = np.concatenate(jacobians, axis=-2), np.concatenate(errors, axis=-1)
    normal = np.swapaxes(jacobian, -1, -2) @ jacobian
    gradient = np.swapaxes(jacobian, -1, -2) @ error[..., None]
    known = np.isfinite(gradient).all((-1, -2))[..., None, None]
    normal = np.where(known, normal, np.eye(3))
    scale = np.trace(normal, axis1=-2, axis2=-1)[..., None, None]
    step = np.linalg.solve(normal + 1e-9 * scale * np.eye(3), gradient)
    return np.where(known, step, 0.0)[..., 0]
