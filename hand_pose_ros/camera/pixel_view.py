"""The canonical view of a hand of either side whose joints are at known pixels, and the pixels of its points."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros.camera.keypoint_view import KeypointView, view_keypoints, view_rays
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.common.shapes import Array

MAX_HALF_EXTENT: Final = 3.0
"""Largest half extent of a view: no hand fills 143 degrees."""


def mirrored_rays(camera: CameraModel, pixels: Tensor, side: str) -> Tensor:
    """Return rays (n, 3) of pixels (n, 2), float64; x is mirrored for a left hand."""
    rays = camera.rays(pixels)
    return rays * _flip(side).to(rays) if side == "left" else rays


def view_of_pixels(camera: CameraModel, pixels: Array, side: str) -> KeypointView | None:
    """Return the view of a hand with joints at ``pixels`` (21, 2), fields (1, ...), mirrored if it is a left one.

    It is None if the hand does not fit into one view of the camera.
    """
    points = torch.from_numpy(np.asarray(pixels, dtype=np.float64))
    view = view_keypoints(mirrored_rays(camera, points, side)[None])
    if not bool(view.points.isfinite().any()) or not float(view.half_extent) <= MAX_HALF_EXTENT:
        return None
    return view


def pixels_of_view(camera: CameraModel, view: KeypointView, points: Tensor, side: str) -> Array | None:
    """Return the pixels (21, 2) of points (1, 21, 2) of a view (1, ...), half extents; None if not finite."""
    pixels = camera.project(view_rays(view, points)[0] * _flip(side)).numpy()
    return pixels if np.isfinite(pixels).all() else None


def _flip(side: str) -> Tensor:
    return torch.tensor((-1.0 if side == "left" else 1.0, 1.0, 1.0), dtype=torch.float64)
