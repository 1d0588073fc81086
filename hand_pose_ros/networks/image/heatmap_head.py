"""The head computes latent 2.5D heatmaps: the image position and depth of each joint (heatmap_25d.txt, 4.2).

The outputs are expectations over the maps: points, their depths and their expected errors. The sharpness of the
maps is learned for each joint.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from hand_pose_ros import hand

_MAPS: Final = 3  # of each joint: heat, depth, logarithm of sigma
JOINT_MAPS: Final = _MAPS * hand.NUM_JOINTS
"""Maps of a network with a read-out: heat of all joints, then depth, then the logarithm of sigma."""
LOG_SIGMA: Final = (-6.0, 2.0)
"""Bounds of the predicted log error, in half extents of the crop."""
FIRST_BETA: Final = 8.0
"""Initial beta of eq. 14. If it started at 1, the maps would take several times as many steps to become sharp."""
FIRST_LOG_SIGMA: Final = -2.0
"""Log sigma where its map is 0: an eighth of the crop's half extent."""


class HeatmapPoints(NamedTuple):
    """The head's outputs for n crops.

    points: (n, 21, 2) from -1 to 1 across the crop, x right, y down. depth: (n, 21), positive = away.
    log_sigma: (n, 21) logarithm of the expected mean absolute error of x and y, unit of the points.
    log_heat: (n, 21, h, w) logarithm of the heatmaps, each of which sums to 1.
    """

    points: Tensor
    depth: Tensor
    log_sigma: Tensor
    log_heat: Tensor


class TopDown(nn.Module):
    """The decoder joins feature maps of several resolutions at the finest one.

    Each level halves the stride: a 1x1 convolution of the finer map is added, then a depthwise 3x3 and a 1x1
    convolution mix neighbours and channels.
    """

    def __init__(self, inputs: Sequence[int], channels: int) -> None:
        """``inputs``: channels of the feature maps, the finest first; each is half as large as the previous."""
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(count, channels, 1, bias=False) for count in inputs)
        self.mix = nn.ModuleList(mix_block(channels) for _ in inputs[1:])

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Join feature maps (n, inputs[i], h / 2^i, w / 2^i) in one (n, channels, h, w)."""
        x = self.lateral[-1](maps[-1])
        for level in range(len(maps) - 2, -1, -1):
            x = interpolate(x, scale_factor=2.0, mode="nearest") + self.lateral[level](maps[level])
            x = self.mix[level](x)
        return x


class HeatmapHead(TopDown):
    """The head joins the feature maps at the finest resolution and computes the maps of 21 joints."""

    def __init__(self, inputs: Sequence[int], channels: int = 96) -> None:
        """``inputs``: channels of the feature maps, the finest first; each is half as large as the previous."""
        super().__init__(inputs, channels)
        self.maps = nn.Conv2d(channels, JOINT_MAPS, 1)
        nn.init.normal_(self.maps.weight, std=0.01)
        assert self.maps.bias is not None
        nn.init.zeros_(self.maps.bias)
        # The exponential keeps beta of eq. 14 positive.
        self.log_beta = nn.Parameter(torch.full((hand.NUM_JOINTS,), math.log(FIRST_BETA)))

    def forward(self, maps: Sequence[Tensor], log_prior: Tensor | None = None) -> HeatmapPoints:
        """Compute the outputs from feature maps (n, inputs[i], h / 2^i, w / 2^i); see :func:`latent_points`."""
        return latent_points(self.maps(super().forward(maps)), self.log_beta, log_prior)


def joint_maps(maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Split maps (n, 63, h, w) into heat, depth and the logarithm of sigma, each (n, 21, h, w)."""
    heat, depth, log_sigma = maps.chunk(_MAPS, dim=1)
    return heat, depth, log_sigma


def latent_points(maps: Tensor, log_beta: Tensor, log_prior: Tensor | None = None) -> HeatmapPoints:
    """Read latent maps (n, 63, h, w) as expectations (eq. 14-16).

    Args:
        log_beta: (21,) log beta of eq. 14.
        log_prior: (n, 21, h, w) logarithm of what the heatmaps are multiplied with; it need not sum to 1.
    """
    size = maps.shape[-2:]
    flat = maps.float().flatten(2)
    grid = pixel_grid(size[0], size[1], flat)
    with torch.autocast(flat.device.type, enabled=False):  # positions need more digits than features
        heat, depth, log_sigma = joint_maps(flat)
        heat = heat * log_beta.exp()[:, None]
        if log_prior is not None:
            heat = heat + log_prior.float().flatten(2)
        log_heat = torch.log_softmax(heat, dim=-1)  # eq. 14
        probability = log_heat.exp()
        points = probability @ grid  # eq. 15
        depth = (probability * depth).sum(-1)  # eq. 16
        log_sigma = (probability * log_sigma).sum(-1) + FIRST_LOG_SIGMA
    return HeatmapPoints(points, depth, log_sigma.clamp(*LOG_SIGMA), log_heat.unflatten(-1, size))


def pixel_grid(height: int, width: int, like: Tensor) -> Tensor:
    """Return (height * width, 2) x and y of the pixel centres in an image that spans [-1, 1], row by row."""
    x = (2 * torch.arange(width, device=like.device, dtype=like.dtype) + 1) / width - 1
    y = (2 * torch.arange(height, device=like.device, dtype=like.dtype) + 1) / height - 1
    return torch.stack((x.repeat(height), y.repeat_interleave(width)), dim=-1)


def normal_log_density(points: Tensor, log_deviation: Tensor, size: int) -> Tensor:
    """Return the logarithm of isotropic normal densities on the pixels of maps (n, 21, size, size).

    They do not sum to 1: their constant is left out.

    Args:
        points: (n, 21, 2) their centres, from -1 to 1. log_deviation: (21,) of their standard deviations.
    """
    places = (2 * torch.arange(size, device=points.device, dtype=points.dtype) + 1) / size - 1
    distance = (places - points[..., None]) * (-log_deviation).exp()[:, None, None]
    of_x, of_y = (-0.5 * distance.square()).unbind(-2)
    return of_x[..., None, :] + of_y[..., :, None]


def mix_block(channels: int, kernel: int = 3) -> nn.Sequential:
    """Make the layers that mix neighbours, by a depthwise convolution, and channels."""
    return nn.Sequential(
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )
