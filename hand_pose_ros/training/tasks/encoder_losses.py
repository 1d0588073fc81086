"""Losses of what an image encoder sees: 2.5D keypoints, their spread, presence, and contrastive features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, l1_loss, normalize

from hand_pose_ros.networks.image.image_encoder import ImageFeatures, ImageFeaturesAndHeat

_HEAT_SIGMA_CELLS = 1.0  # of the target of the heatmaps
_SIGMA_OF_POSE = 0.15  # anchor lengths: a pose this uncertain counts half


@dataclass(frozen=True)
class ImageLossWeights:
    """Weights of the encoder's losses; 0 leaves a term out.

    points: L1 of the 2D keypoints, half extents. heat: cross-entropy of the heatmaps, nats, which finds the joints
    sooner than the points alone do; 0 leaves the maps latent, as in heatmap_25d.txt. spread: negative
    log-likelihood of a Laplace distribution of the
    learned spread at these errors. depth: L1, anchor lengths. presence: cross-entropy, nats. contrastive:
    NT-Xent of pairs in PeCLR's equivariant form (diffusion + FK paper, 2.4); temperature is its own.
    """

    points: float = 10.0
    heat: float = 1.0
    spread: float = 0.1
    depth: float = 2.0
    presence: float = 0.2
    contrastive: float = 0.0
    temperature: float = 0.5


def keypoint_losses(
    seen: ImageFeatures | ImageFeaturesAndHeat, points: Tensor, depth: Tensor, weight: Tensor, margin: float
) -> dict[str, Tensor]:
    """Mean 'points', 'spread' and 'depth' losses over n hands.

    Joints outside the crop count for depth only: no heatmap can reach them. The spread is fitted to the
    errors as they are; its gradient does not reach the points, or hard joints, whose spread is large, would
    be learned last.

    Args:
        points: (n, 21, 2) true, half extents; depth: (n, 21) true; NaN where unknown. weight: (n,).
        margin: half extents that the crop spans to either side.
    """
    known = points.isfinite().all(-1) & (points.abs() < margin).all(-1)
    error = (seen.points - torch.where(known[..., None], points, seen.points.detach())).abs()
    counts = weight[:, None] * known
    sigma = seen.sigma.clamp(min=1e-4)
    likelihood = error.detach().sum(-1) / sigma + 2 * sigma.log()
    has_depth = depth.isfinite()
    deep = (seen.depth - torch.where(has_depth, depth, seen.depth.detach())).abs()
    return {
        "points": weighted_mean(error.mean(-1), counts),
        "spread": weighted_mean(likelihood, counts),
        "depth": weighted_mean(deep, weight[:, None] * has_depth),
    }


def heat_loss(log_heat: Tensor, points: Tensor, weight: Tensor, margin: float) -> Tensor:
    """Mean cross-entropy of heatmaps (n, 21, h, w) against normal distributions about the true points.

    Less the entropy of these, so that 0 is the least. Arguments as in :func:`keypoint_losses`.
    """
    known = points.isfinite().all(-1) & (points.abs() < margin).all(-1)
    height, width = log_heat.shape[-2:]
    log_target = torch.zeros_like(log_heat)
    for axis, size, shape in ((0, width, (1, width)), (1, height, (height, 1))):
        cells = (points[..., axis].nan_to_num(0.0) / margin + 1) / 2 * size - 0.5
        places = torch.arange(size, device=cells.device, dtype=cells.dtype)
        squared = ((places - cells[..., None]) / _HEAT_SIGMA_CELLS).square()
        log_target = log_target - squared.unflatten(-1, shape) / 2
    log_target = log_target.flatten(2).log_softmax(-1)
    divergence = (log_target.exp() * (log_target - log_heat.flatten(2))).sum(-1)
    return weighted_mean(divergence, weight[:, None] * known)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """The sum of weighted values, divided by how many have a weight: what weighs less also counts less."""
    return (values * weights).sum() / (weights > 0).sum().clamp(min=1)


def pose_weights(weight: Tensor, sigma: Tensor, joints: Tensor) -> Tensor:
    """Weights (n, 21) of 3D joints: those of the hands (n,), less the more uncertain they are; 0 where unknown.

    Args:
        sigma: (n, 21) standard deviation, anchor lengths. joints: (n, 21, 3).
    """
    trust = 1 / (1 + (sigma.nan_to_num(0.0) / _SIGMA_OF_POSE).square())
    known = joints.isfinite().all(-1).all(-1, keepdim=True)
    return weight[:, None] * trust * known


def presence_loss(logits: Tensor, hands: int) -> Tensor:
    """Cross-entropy of logits (n + k,) whose first ``hands`` are hands; both groups count alike."""
    target = torch.zeros_like(logits)
    target[:hands] = 1
    terms = [
        binary_cross_entropy_with_logits(logits[part], target[part])
        for part in (slice(hands), slice(hands, None))
        if len(logits[part])
    ]
    return torch.stack(terms).mean()


def equivariant_nt_xent(
    projected: Tensor, roll_rad: Tensor, shift: Tensor, scale: Tensor, temperature: float
) -> Tensor:
    """NT-Xent of n = 2 m projections, of which i and i + m show the same picture; PeCLR's equivariant form.

    A projection is read as points in the plane. What was done to the view is undone in it, so that the two
    agree if the features turn and move with the picture; shifts, whose unit is that of the picture, are taken
    in units of half of what the points span. Features that know where the hand points are therefore not
    punished for it.

    Args:
        projected: (n, 2 k). roll_rad (n,), shift (n, 2), scale (n,): of the crop's view in the stored one.
    """
    points = projected.unflatten(-1, (-1, 2))
    span = (points.detach().amax(1) - points.detach().amin(1)) / 2
    cosine, sine = roll_rad.cos(), roll_rad.sin()
    # A point of the crop, back to the stored view: p = shift + scale R(-roll) p'.
    back = torch.stack((cosine, sine, -sine, cosine), dim=-1).unflatten(-1, (2, 2)) * scale[:, None, None]
    undone = points @ back.transpose(-1, -2) + (shift * span)[:, None]
    unit = normalize(undone.flatten(1), dim=-1)
    similarity = unit @ unit.T / temperature
    similarity = similarity.masked_fill(
        torch.eye(len(unit), dtype=torch.bool, device=unit.device), -torch.inf
    )
    partner = torch.arange(len(unit), device=unit.device).roll(len(unit) // 2)
    return cross_entropy(similarity, partner)


def l1_over(values: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """Mean L1 distance over the last axis, weighted as by :func:`weighted_mean`; the unknown must weigh 0."""
    safe = torch.where(truth.isfinite(), truth, values.detach())
    return weighted_mean(l1_loss(values, safe, reduction="none").mean(-1), weights)
