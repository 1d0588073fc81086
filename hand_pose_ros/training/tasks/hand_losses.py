"""The module defines the losses of valid hands and of the diffusion, for generated hands and for images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from hand_pose_ros.networks.condition import Encoded
from hand_pose_ros.networks.diffusion.network import HandDiffusion
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.synthetic.observed_hands import SampledHands
from hand_pose_ros.training.tasks.encoder_losses import l1_over, weighted_mean

_MIN_DEPTH = 0.3  # anchor lengths
_MIN_HALF_EXTENT = 0.03  # of a view: a hand at 3 m


@dataclass(frozen=True)
class LossWeights:
    """Weights of the loss terms (diffusion + FK paper, 2.4 and 2.5); 0 leaves a term out.

    diffusion: squared error of what the U-Net predicts; of a network with ``residual`` also the squared error of
        the regressed joints and the negative log-likelihood of their stated deviation.
    camera, canonical: L1 of the valid hand's joints in the view's frame and in the wrist's. reprojection: L1 in
        the canonical view, in multiples of its half extent. angles: L1 in radians, against the sampler's own
        angles: joints do not determine them all.
    """

    diffusion: float = 1.0
    camera: float = 2.0
    canonical: float = 1.0
    reprojection: float = 0.5
    angles: float = 0.2


class Targets(NamedTuple):
    """Ground truth of n right hands, in the frame of their condition's view; lengths in anchor lengths.

    joints: (n, 21, 3) relative to the wrist. wrist: (n, 3); NaN where unknown. half_extent: (n,) of the view.
    angles: (n, 38). rotation: (n, 3, 3) wrist frame -> view. weights: (n, 21) of the joints in the losses, 0 where
    unknown.
    """

    joints: Tensor
    wrist: Tensor
    half_extent: Tensor
    angles: Tensor
    rotation: Tensor
    weights: Tensor


def targets_of_generated(hands: SampledHands) -> Targets:
    """Return the ground truth of generated hands; all of it is known."""
    observed = hands.observed
    weights = torch.ones_like(observed.joints[..., 0])
    extent = observed.condition.half_extent
    return Targets(observed.joints, observed.wrist, extent, hands.angles, hands.rotation, weights)


def hand_losses(predicted: HandParameters, truth: Targets, weights: LossWeights) -> dict[str, Tensor]:
    """Return the weighted terms of valid hands (eq. 2 to 4 of the paper), without those whose weight is 0."""
    joints, of_hand = truth.weights, truth.weights.mean(-1)
    canonical = predicted.joints @ predicted.rotation
    angles = torch.where(truth.angles.isfinite(), truth.angles, predicted.angles.detach())
    terms = {
        "camera": l1_over(predicted.joints, truth.joints, joints),
        "canonical": l1_over(canonical, truth.joints @ truth.rotation, joints),
        "reprojection": _reprojection(predicted.joints, truth),
        "angles": weighted_mean((predicted.angles - angles).abs().mean(-1), of_hand),
    }
    return {name: getattr(weights, name) * term for name, term in terms.items() if getattr(weights, name)}


def diffusion_losses(
    model: HandDiffusion, encoded: Encoded, truth: Targets, weights: LossWeights, generator: torch.Generator
) -> dict[str, Tensor]:
    """Return the weighted term of the U-Net at random steps, and those of the IK head on its estimates.

    Args:
        encoded: the conditions of the hands. generator: source of steps and noise, on the CPU.
    """
    schedule, known = model.schedule, truth.weights > 0
    joints = torch.where(known[..., None], truth.joints, encoded.mean.detach())
    x0 = encoded.to_samples(joints).detach()
    terms = {}
    if model.config.residual:
        # The deviation is learned from the error of the mean, without an effect on it.
        error = ((joints - encoded.mean) / model.scale).square()
        surprise = (encoded.scale / model.scale).log() + 0.5 * (
            (joints - encoded.mean.detach()) / encoded.scale
        ).square()
        terms["regression"] = weights.diffusion * weighted_mean((error + surprise).mean(-1), truth.weights)
    t = torch.randint(schedule.steps, (len(x0),), generator=generator).to(x0.device)
    noise = torch.randn(x0.shape, generator=generator).to(x0)
    noisy = schedule.add_noise(x0, noise, t)
    prediction = model.denoise(noisy, t, encoded).float()
    target = x0 if model.parametrisation == "x0" else noise
    estimate, _ = schedule.x0_and_epsilon(noisy, prediction.detach(), t, model.parametrisation)
    error = (prediction - target).square().mean(-1)
    return {
        **terms,
        "diffusion": weights.diffusion * weighted_mean(error, truth.weights),
        **hand_losses(model.fit(estimate, encoded), truth, weights),
    }


def _reprojection(joints: Tensor, truth: Targets) -> Tensor:
    """Return the L1 distance of projected joints, placed at the true wrist, from the true ones, half extents.

    Depth and the view's extent are bounded away from zero, where the projection has a pole.
    """
    known = truth.wrist.isfinite().all(-1)
    wrist = torch.where(known[:, None], truth.wrist, torch.ones_like(truth.wrist))[:, None]
    extent = truth.half_extent.clamp(min=_MIN_HALF_EXTENT)[:, None, None]

    def project(relative: Tensor) -> Tensor:
        placed = relative + wrist
        return placed[..., :2] / placed[..., 2:].clamp(min=_MIN_DEPTH) / extent

    return l1_over(project(joints), project(truth.joints), truth.weights * known[:, None])
