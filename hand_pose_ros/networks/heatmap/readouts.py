"""Read-outs of 2.5D heatmaps that are not latent: the direct one reads both maps at the maximum (eq. 12, 13)."""

from __future__ import annotations

import torch
from torch import Tensor

from hand_pose_ros.networks.image.heatmap_head import (
    FIRST_LOG_SIGMA,
    LOG_SIGMA,
    HeatmapPoints,
    joint_maps,
    pixel_grid,
)

_LEAST_HEAT = 1e-3  # of a maximum of 1


def direct_points(maps: Tensor) -> HeatmapPoints:
    """Read maps (n, 63, h, w) at the maximum of each heatmap; the position has no gradient.

    ``log_heat`` is the logarithm of the heatmap, scaled to a sum of 1; values below 0.001 count as 0.001.
    """
    heat, depth, log_sigma = joint_maps(maps.float())
    grid = pixel_grid(maps.shape[-2], maps.shape[-1], heat)
    best = heat.flatten(2).argmax(-1)
    points = grid[best]
    at_best = (
        torch.stack((depth, log_sigma)).flatten(3).gather(-1, best[None, ..., None].expand(2, -1, -1, 1))
    )
    depth, log_sigma = at_best[..., 0]
    positive = heat.clamp(min=_LEAST_HEAT)
    log_heat = (positive / positive.sum((-2, -1), keepdim=True)).log()
    return HeatmapPoints(points, depth, (log_sigma + FIRST_LOG_SIGMA).clamp(*LOG_SIGMA), log_heat)
