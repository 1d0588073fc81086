"""Losses of the 2.5D networks: eq. 9 for each read-out, with depths where they are known."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.networks.heatmap.config import HeatmapConfig
from hand_pose_ros.networks.heatmap.network import StageOutput
from hand_pose_ros.networks.image.heatmap_head import HeatmapPoints, joint_maps
from hand_pose_ros.training.tasks.encoder_losses import heat_loss, weighted_mean
from hand_pose_ros.training.tasks.images.batches import ImageBatch

REFERENCE_PX = 128
"""Errors and the direct maps' sigma are stated in pixels of crops of this size."""
_WHOLE_CROP = 1.0


@dataclass(frozen=True)
class HeatmapLosses:
    """Weights of the terms of eq. 9, of every stage; 0 leaves a term out.

    points: latent and fast: L1 of the points, pixels of a 128 px crop. direct: squared error of the heatmaps,
        summed over the map. holistic: L1 of the points in their standard deviations.
    depth: alpha of eq. 9. latent and fast: L1, anchor lengths. direct: squared error of the depth maps, summed
        over the map. holistic: L1 of the depths in their standard deviations.
    heat: cross-entropy of latent maps against normal distributions at the joints, nats. The paper has none.
    spread: negative log-likelihood of the errors under a Laplace distribution of the learned sigma; the errors are
        constants in it. Ours: the paper has no sigma.
    sigma_px: sigma of eq. 10, for direct.
    """

    points: float = 1.0
    depth: float = 20.0
    heat: float = 0.0
    spread: float = 0.1
    sigma_px: float = 5.0

    def __post_init__(self) -> None:
        if min(self.points, self.depth, self.heat, self.spread) < 0 or not self.sigma_px > 0:
            raise ValueError("the weights of losses must not be negative, and sigma_px must be above 0")


@dataclass(frozen=True)
class PoseTruth:
    """Labels of n crops.

    points: (n, 21, 2) from -1 to 1 across the crop. depth: (n, 21) relative to the root, in lengths of the
    network's bone; NaN where unknown, which is everywhere for hands labelled in 2D only. weight: (n,) of the
    hands.
    """

    points: Tensor
    depth: Tensor
    weight: Tensor

    @classmethod
    def of_batch(cls, batch: ImageBatch, config: HeatmapConfig) -> PoseTruth:
        """The labels of a batch in the units of a network of ``config``."""
        depth = batch.depth
        if config.bone != hand.ANCHOR_BONE:
            depth = depth / batch.proportions[:, config.bone, None]
        return cls(batch.points / config.margin, depth, batch.weight)

    @property
    def inside(self) -> Tensor:
        """Whether each joint is known and in the crop (n, 21): no map reaches the others."""
        return self.points.isfinite().all(-1) & (self.points.abs() < 1).all(-1)


def latent_terms(output: StageOutput, truth: PoseTruth, losses: HeatmapLosses) -> dict[str, Tensor]:
    """Return the terms of eq. 9 in the form of section 4.2, without their weights."""
    joints, inside = output.joints, truth.inside
    error = _known_difference(joints.points, truth.points, inside[..., None]) * (REFERENCE_PX / 2)
    terms = {
        "points": weighted_mean(error.sum(-1), truth.weight[:, None] * inside),
        "depth": _depth_term(joints.depth, truth),
    }
    if losses.heat:
        terms["heat"] = heat_loss(joints.log_heat, truth.points, truth.weight, _WHOLE_CROP)
    return terms


def direct_terms(output: StageOutput, truth: PoseTruth, losses: HeatmapLosses) -> dict[str, Tensor]:
    """Return the squared errors of the maps against the targets of eq. 10 and 11.

    Eq. 10 prints the distance without its square; the Gaussian that section 4.1 speaks of has it.
    """
    assert output.maps is not None
    heat, depth, _ = joint_maps(output.maps.float())
    target = gaussian_targets(truth.points, heat.shape[-2], heat.shape[-1], losses.sigma_px)
    inside = truth.weight[:, None] * truth.inside
    deep = truth.depth.isfinite()
    target_depth = truth.depth.nan_to_num()[..., None, None] * target
    area = (REFERENCE_PX / heat.shape[-1]) ** 2  # of a pixel of the map
    return {
        "points": weighted_mean((heat - target).square().sum((-2, -1)) * area, inside),
        "depth": weighted_mean((depth - target_depth).square().sum((-2, -1)) * area, inside * deep),
    }


def holistic_terms(output: StageOutput, truth: PoseTruth, deviation: Tensor) -> dict[str, Tensor]:
    """Return the L1 errors in units of ``deviation`` (21, 3) of x, y and depth (appendix A.1)."""
    joints, known = output.joints, truth.points.isfinite().all(-1)
    error = _known_difference(joints.points, truth.points, known[..., None]) / deviation[:, :2]
    deep = truth.depth.isfinite()
    depth = _known_difference(joints.depth, truth.depth, deep) / deviation[:, 2]
    return {
        "points": weighted_mean(error.sum(-1), truth.weight[:, None] * known),
        "depth": weighted_mean(depth, truth.weight[:, None] * deep),
    }


def spread_term(joints: HeatmapPoints, truth: PoseTruth) -> Tensor:
    """Return the mean negative log-likelihood of x and y under the learned sigma, but for a constant."""
    inside = truth.inside
    error = _known_difference(joints.points, truth.points, inside[..., None]).detach().sum(-1)
    likelihood = error * (-joints.log_sigma).exp() + 2 * joints.log_sigma
    return weighted_mean(likelihood, truth.weight[:, None] * inside)


def gaussian_targets(points: Tensor, height: int, width: int, sigma_px: float) -> Tensor:
    """Return the maps of eq. 10 (n, 21, height, width), 1 at the joints; unknown joints are at the middle.

    Args:
        points: (n, 21, 2) from -1 to 1 across the crop. sigma_px: pixels of a 128 px crop.
    """
    exponent = torch.zeros((), device=points.device)
    for axis, size, shape in ((0, width, (1, width)), (1, height, (height, 1))):
        places = (2 * torch.arange(size, device=points.device, dtype=points.dtype) + 1) / size - 1
        distance_px = (places - points[..., axis].nan_to_num()[..., None]) * (REFERENCE_PX / 2)
        exponent = exponent + (distance_px / sigma_px).square().unflatten(-1, shape)
    return (-exponent).exp()


def _depth_term(depth: Tensor, truth: PoseTruth) -> Tensor:
    known = truth.depth.isfinite()
    return weighted_mean(_known_difference(depth, truth.depth, known), truth.weight[:, None] * known)


def _known_difference(values: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """Return |values - truth|, 0 where it is not known, with finite gradients."""
    return (values - torch.where(known, truth, values.detach())).abs()
