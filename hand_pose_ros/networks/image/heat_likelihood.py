"""The likelihood of hypotheses of a hand under the heatmaps of an image: evidence to select among samples."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def heat_log_likelihood(log_heat: Tensor, points: Tensor) -> Tensor:
    """Log-likelihood of hypotheses, the joints taken as independent given the image.

    A heatmap is a probability of each pixel. Interpolated bilinearly between the pixels' centres and divided by a
    pixel's area, it is a density over the crop that integrates to one, so that maps of different sizes compare. Up
    to the border, half a pixel beyond the outer centres, the outer pixels continue. Beyond the crop the maps say
    nothing: a joint there counts with the least density of its map, which is finite, as a hypothesis with one
    fingertip outside is not impossible.

    Args:
        log_heat: (n, k, h, w) logarithms of the maps of k joints, each of which sums to 1; see
            :class:`~hand_pose_ros.networks.image.heatmap_head.HeatmapPoints`.
        points: (n, s, k, 2) x and y of s hypotheses for each of the n hands, from -1 to 1 across the crop.

    Returns:
        (n, s) sums over the joints. NaN where a point is not finite or one of the pixels around it is NaN.
        Differentiable with respect to both arguments.

    Raises:
        ValueError: a wrong shape, or maps without pixels.
    """
    if points.ndim != 4 or points.shape[-1] != 2:
        raise ValueError(f"points must have shape (n, s, k, 2), got {tuple(points.shape)}")
    count, _, joints, _ = points.shape
    if log_heat.ndim != 4 or log_heat.shape[:2] != (count, joints) or 0 in log_heat.shape[2:]:
        raise ValueError(
            f"log_heat must have shape ({count}, {joints}, h, w) with h, w > 0, as points have, "
            f"got {tuple(log_heat.shape)}"
        )
    height, width = log_heat.shape[-2:]
    size = points.new_tensor((width, height))
    pixels = (points.transpose(1, 2) + 1) * size / 2 - 0.5  # (n, k, s, 2)
    inside = (points.transpose(1, 2).abs() <= 1).all(-1)
    known = pixels.isfinite().all(-1)
    pixels = torch.minimum(pixels.nan_to_num().clamp(min=0), size - 1)
    low = torch.minimum(pixels.detach().floor(), (size - 2).clamp(min=0))
    share = pixels - low
    flat = log_heat.flatten(2)
    corners = []
    for right in (0, 1):
        for down in (0, 1):
            x = (low[..., 0] + right).clamp(max=width - 1).long()
            y = (low[..., 1] + down).clamp(max=height - 1).long()
            weight = _part(share[..., 0], right) * _part(share[..., 1], down)
            corners.append(_weighted(flat.gather(-1, y * width + x), weight))
    found = torch.logsumexp(torch.stack(corners), dim=0)
    least = flat.amin(-1, keepdim=True).expand_as(found)
    found = torch.where(inside, found, least) + math.log(height * width / 4)
    return found.masked_fill(~known, torch.nan).sum(1)


def _part(share: Tensor, second: int) -> Tensor:
    return share if second else 1 - share


def _weighted(logarithm: Tensor, weight: Tensor) -> Tensor:
    """The logarithm of ``weight`` times what it is of; minus infinity, with no gradient, for a weight of zero."""
    positive = weight > 0
    scaled = logarithm + torch.where(positive, weight, torch.ones_like(weight)).log()
    return torch.where(positive, scaled, torch.full_like(scaled, -torch.inf))
