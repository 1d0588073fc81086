"""The module fits hands inside their limits to 2.5D poses whose root depth is solved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.estimator.heatmap.reading import ViewedPoses
from hand_pose_ros.estimator.placement import NOISE_RATIO
from hand_pose_ros.kinematics.forward import HandFrames
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


def one_fit(fit: HandFit, row: int) -> HandFit:
    """The fit of one hand, without a leading dimension."""
    return HandFit(
        fit.angles[row],
        fit.proportions[row],
        fit.anchor_length_m[row],
        HandFrames(*(value[row] for value in fit.frames)),
        fit.residual_m[row],
        None if fit.residual_px is None else fit.residual_px[row],
        fit.converged[row],
    )


def joined_fits(fits: Sequence[HandFit | None]) -> HandFit | None:
    """Stack fits of single hands as a start for :func:`fit_hands`; None if none is known."""
    known = next((one for one in fits if one is not None), None)
    if known is None:
        return None
    whole = [known if one is None else one for one in fits]
    missing = torch.tensor([one is None for one in fits])

    def stacked(values: Sequence[Tensor]) -> Tensor:
        value = torch.stack(list(values))
        return value.masked_fill(missing.reshape(-1, *[1] * (value.ndim - 1)), torch.nan)

    return HandFit(
        stacked([one.angles for one in whole]),
        stacked([one.proportions for one in whole]),
        stacked([one.anchor_length_m for one in whole]),
        HandFrames(*(stacked(values) for values in zip(*(one.frames for one in whole), strict=True))),
        torch.full((len(fits), hand.NUM_JOINTS), torch.nan),
        None,
        torch.stack([one.converged for one in whole]) & ~missing,
    )
