"""The module fits hands inside their limits to 2.5D poses whose root depth is solved."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.estimator.heatmap.reading import ViewedPoses
from hand_pose_ros.estimator.placement import NOISE_RATIO
from hand_pose_ros.kinematics.inverse import HandFit, fit_hand

_VIEW: Final = CameraModel.pinhole(1.0, 1.0, 0.0, 0.0, 1, 1)  # its pixels are normalised image points


def fit_hands(
    poses: ViewedPoses, joints: Tensor, depth_scale: Tensor, start: HandFit | None = None
) -> HandFit:
    """Fit right hands of anchor length 1 to joints and image points in their views, each with its noise.

    Lengths of the result, named in metres elsewhere, are anchor lengths here.

    Args:
        poses: n hands. joints: (n, 21, 3) in the views, anchor lengths (heatmap_25d eq. 1 and 7).
        depth_scale: (n,) depth of the wrists in anchor lengths, which turns image noise into lengths.
        start: fits of the last frame, NaN for hands without one.
    """
    across = poses.sigma * depth_scale[:, None]
    noise = torch.maximum(poses.depth_sigma, NOISE_RATIO * across)
    return fit_hand(
        joints,
        1 / noise.square(),
        anchor_length_m=1.0,
        noise_m=1.0,
        image_points_px=poses.points,
        image_weights=1 / poses.sigma.square(),
        camera=_VIEW,
        noise_px=1.0,
        start=start,
    )
