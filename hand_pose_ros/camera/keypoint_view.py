"""The canonical view of a hand's keypoints: a camera turned to look at the hand, with the palm pointing up.

Networks that lift keypoints take them in this view only, in training and at run time, so they need not learn the
hand's position in the image or the camera's roll. The view is the virtual camera of
:mod:`hand_pose_ros.camera.virtual`, batched over hands and computed from their keypoints alone.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.linalg import vector_norm

from hand_pose_ros import hand
from hand_pose_ros.common.shapes import check_shape

CENTRING_STEPS: Final = 3
MIN_EXTENT: Final = 1e-4
TINY: Final = 1e-12
MIN_DEPTH: Final = 1e-2  # of a ray of unit length: nearly 90 degrees off the middle
LEAST_TURN: Final = 1e-6  # of 1 + z: a direction that points straight back has no least rotation


class KeypointView(NamedTuple):
    """One view for each hand.

    rotation: (..., 3, 3) that maps camera coordinates to the view's (``R_view_camera``).
    half_extent: (...) half the larger side of the keypoints' box, in the view's normalised coordinates: the
        tangent of half the field of view that the hand fills.
    points: (..., 21, 2) the keypoints in the view, in multiples of ``half_extent``, so within [-1, 1]; NaN where
        missing.
    """

    rotation: Tensor
    half_extent: Tensor
    points: Tensor


def view_keypoints(rays: Tensor) -> KeypointView:
    """Look at the middle of the keypoints' box, with the direction wrist -> middle of the finger MCPs up.

    Where the wrist or all those MCPs are missing, or they coincide in the image, the roll is that of the
    rotation of least angle. Hands without two keypoints give NaN.

    Args:
        rays: (..., 21, 3) of any length, from the camera through the keypoints; NaN where missing.

    Raises:
        ValueError: a wrong shape.
    """
    check_shape("rays", rays, (hand.NUM_JOINTS, 3))
    rays = _unit(rays)
    known = rays.isfinite().all(-1)
    rotation = rotation_to_z(torch.where(known[..., None], rays, torch.zeros_like(rays)).sum(-2))
    for _ in range(CENTRING_STEPS):
        points = _in_view(rays, rotation)
        roll = _palm_up(points)
        rotation = roll @ rotation
        low, high = _box(points @ roll[..., :2, :2].transpose(-1, -2))
        middle = torch.cat(((low + high) / 2, torch.ones_like(low[..., :1])), dim=-1)
        rotation = rotation_to_z(middle) @ rotation
    rotation = _palm_up(_in_view(rays, rotation)) @ rotation
    points = _in_view(rays, rotation)
    half_extent = points.abs().nan_to_num(0.0).amax((-2, -1)).clamp(min=MIN_EXTENT)
    enough = (points.isfinite().all(-1).sum(-1) >= 2)[..., None, None]
    points = torch.where(enough, points / half_extent[..., None, None], torch.full_like(points, torch.nan))
    return KeypointView(rotation, half_extent, points)


def view_box(rays: Tensor) -> KeypointView:
    """Look at the middle of a box, without a roll, for hands without known keypoints.

    Args:
        rays: (..., n, 3) of any length, from the camera through the box's corners.

    Returns:
        A view with the ``half_extent`` of the box's larger side, and NaN for the points.
    """
    rays = _unit(rays)
    rotation = rotation_to_z(rays.sum(-2))
    half_extent = _in_view(rays, rotation).abs().amax((-2, -1)).clamp(min=MIN_EXTENT)
    points = half_extent.new_full((*half_extent.shape, hand.NUM_JOINTS, 2), torch.nan)
    return KeypointView(rotation, half_extent, points)


def view_square(rays: Tensor) -> KeypointView:
    """Look at the middle of a square that may be turned, with its upper side up.

    Args:
        rays: (..., 4, 3) of any length, from the camera through the upper left, upper right, lower right and lower
            left corner; for a mirrored hand, the mirrored rays in the same order.

    Returns:
        A view whose ``half_extent`` is half the square's side, and NaN for the points.
    """
    view = view_box(rays)
    corners = _in_view(_unit(rays), view.rotation)
    across = corners[..., 1, :] + corners[..., 2, :] - corners[..., 0, :] - corners[..., 3, :]
    up = corners[..., 0, :] + corners[..., 1, :] - corners[..., 2, :] - corners[..., 3, :]
    half_extent = (vector_norm(across, dim=-1) + vector_norm(up, dim=-1)) / 8
    return view._replace(rotation=_turned_up(up) @ view.rotation, half_extent=half_extent)


def view_rays(view: KeypointView, points: Tensor) -> Tensor:
    """Rays (..., n, 3) in the camera's frame through ``points`` (..., n, 2) of the view, in its unit."""
    normalised = points * view.half_extent[..., None, None]
    return torch.cat((normalised, torch.ones_like(normalised[..., :1])), dim=-1) @ view.rotation


def _unit(vectors: Tensor) -> Tensor:
    return vectors / vector_norm(vectors, dim=-1, keepdim=True).clamp(min=TINY)


def _in_view(rays: Tensor, rotation: Tensor) -> Tensor:
    """Normalised coordinates (..., 21, 2); NaN for points beside or behind the view."""
    turned = rays @ rotation.transpose(-1, -2)
    depth = turned[..., 2:]
    return turned[..., :2] / torch.where(depth > MIN_DEPTH, depth, torch.full_like(depth, torch.nan))


def _box(points: Tensor) -> tuple[Tensor, Tensor]:
    """Lowest and highest coordinates (..., 2) of the known points."""
    low = points.nan_to_num(torch.inf).amin(-2)
    high = points.nan_to_num(-torch.inf).amax(-2)
    return low.nan_to_num(0.0, 0.0, 0.0), high.nan_to_num(0.0, 0.0, 0.0)


def _palm_up(points: Tensor) -> Tensor:
    """Rotation (..., 3, 3) about z that turns wrist -> mean of the MCPs onto the image's up, which is -y."""
    up = points[..., hand.KNUCKLES, :].nanmean(-2) - points[..., hand.WRIST, :]
    return _turned_up(torch.where(up.isfinite().all(-1, keepdim=True), up, torch.zeros_like(up)))


def _turned_up(up: Tensor) -> Tensor:
    """Rotation (..., 3, 3) about z that turns a direction (..., 2) onto the image's up; none without a length."""
    length = vector_norm(up, dim=-1)
    degenerate = length < MIN_EXTENT
    scale = torch.where(degenerate, torch.ones_like(length), length)
    sine = torch.where(degenerate, torch.zeros_like(length), -up[..., 0] / scale)
    cosine = torch.where(degenerate, torch.ones_like(length), -up[..., 1] / scale)
    zero, one = torch.zeros_like(sine), torch.ones_like(sine)
    elements = (cosine, -sine, zero, sine, cosine, zero, zero, zero, one)
    return torch.stack(elements, dim=-1).unflatten(-1, (3, 3))


def rotation_to_z(direction: Tensor) -> Tensor:
    """The rotation (..., 3, 3) of least angle that turns ``direction`` (..., 3) onto the z axis."""
    x, y, z = _unit(direction).unbind(-1)
    k = 1 / (1 + z).clamp(min=LEAST_TURN)  # no lens images a hand there
    elements = (1 - x * x * k, -x * y * k, -x, -x * y * k, 1 - y * y * k, -y, x, y, z)
    return torch.stack(elements, dim=-1).unflatten(-1, (3, 3))
