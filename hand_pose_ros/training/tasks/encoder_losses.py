"""The module defines the image encoder's losses: 2.5D keypoints, spread, presence, and contrastive features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, l1_loss, normalize

from hand_pose_ros.networks.image.image_encoder import ImageFeatures

_HEAT_SIGMA_CELLS = 1.0  # standard deviation of the heatmaps' target
_SIGMA_OF_POSE = 0.15  # anchor lengths: a pose this uncertain counts half


@dataclass(frozen=True)
class ImageLossWeights:
    """Weights of the encoder's losses; 0 leaves a term out.

    points: L1 of the 2D keypoints, half extents.
    heat: cross-entropy of the heatmaps, nats; it speeds up learning of the joints. 0 leaves the maps latent, as in
        heatmap_25d.txt.
    spread: negative log-likelihood of the errors under a Laplace distribution of the learned spread.
    depth: L1, anchor lengths. presence: cross-entropy, nats.
    contrastive: NT-Xent of pairs in PeCLR's equivariant form (diffusion + FK paper, 2.4), with ``temperature``.
    """

    points: float = 10.0
    heat: float = 1.0
    spread: float = 0.1
    depth: float = 2.0
    presence: float = 0.2
    contrastive: float = 0.0
    temperature: float = 0.5


def keypoint_losses(
    encoded: ImageFeatures,
    points: Tensor,
    depth: Tensor,
    weight: Tensor,
    margin: float,
) -> dict[str, Tensor]:
    """Return the mean 'points', 'spread' and 'depth' losses over n hands.

    Joints outside the crop count for depth only, because no heatmap can reach them. The spread is fitted to the
    detached errors: otherwise hard joints, whose spread is large, would be learned last.

    Args:
        points: (n, 21, 2) true, half extents; depth: (n, 21) true; NaN where unknown. weight: (n,).
        margin: half extents that the crop spans to either side.
    """
    known = points.isfinite().all(-1) & (points.abs() < margin).all(-1)
    error = (encoded.points - torch.where(known[..., None], points, encoded.points.detach())).abs()
    counts = weight[:, None] * known
    sigma = encoded.sigma.clamp(min=1e-4)
    likelihood = error.detach().sum(-1) / sigma + 2 * sigma.log()
    has_depth = depth.isfinite()
    deep = (encoded.depth - torch.where(has_depth, depth, encoded.depth.detach())).abs()
    return {
        "points": weighted_mean(error.mean(-1), counts),
        "spread": weighted_mean(likelihood, counts),
        "depth": weighted_mean(deep, weight[:, None] * has_depth),
    }


def heat_loss(log_heat: Tensor, points: Tensor, weight: Tensor, margin: float) -> Tensor:
    """Return the mean cross-entropy of heatmaps (n, 21, h, w) against normal distributions at the true points.

    The entropy of the targets is subtracted, so that the minimum is 0. Arguments as in :func:`keypoint_losses`.
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
    """Return the weighted sum divided by the number of positive weights: smaller weights reduce the mean."""
    return (values * weights).sum() / (weights > 0).sum().clamp(min=1)


def pose_weights(weight: Tensor, sigma: Tensor, joints: Tensor) -> Tensor:
    """Return weights (n, 21) of 3D joints: the hands' weights (n,), reduced by uncertainty; 0 where unknown.

    Args:
        sigma: (n, 21) standard deviation, anchor lengths. joints: (n, 21, 3).
    """
    trust = 1 / (1 + (sigma.nan_to_num(0.0) / _SIGMA_OF_POSE).square())
    known = joints.isfinite().all(-1).all(-1, keepdim=True)
    return weight[:, None] * trust * known


def presence_loss(logits: Tensor, hands: int) -> Tensor:
    """Return the cross-entropy of logits (n + k,), the first ``hands`` of hands; both groups count alike."""
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
    """Return NT-Xent of n = 2 m projections, where i and i + m show the same image; PeCLR's equivariant form.

    A projection is interpreted as points in the plane, to which the inverse change of the view is applied. The two
    then agree if the features rotate and move with the image, so features may encode the hand's orientation.
    Shifts are scaled from the unit of the image to half the range of the points.

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
    """Return the :func:`weighted_mean` of the L1 distance, a mean over the last axis; unknown truth weighs 0."""
    safe = torch.where(truth.isfinite(), truth, values.detach())
    return weighted_mean(l1_loss(values, safe, reduction="none").mean(-1), weights)
