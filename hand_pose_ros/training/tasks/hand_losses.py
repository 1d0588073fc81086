"""The truth about hands of pictures and generated ones, in one form, and the losses of valid hands against it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.synthetic.observed_hands import SampledHands
from hand_pose_ros.training.tasks.encoder_losses import l1_over, pose_weights, weighted_mean
from hand_pose_ros.training.tasks.image_batches import ImageBatch
from hand_pose_ros.training.tasks.keypoints import LossWeights

_MIN_DEPTH = 0.3  # anchor lengths
_MIN_HALF_EXTENT = 0.03  # of a view: a hand at 3 m


class Targets(NamedTuple):
    """The truth about n right hands, in the frame of their condition's view; lengths in anchor lengths.

    joints: (n, 21, 3) relative to the wrist. wrist: (n, 3); NaN where unknown. half_extent: (n,) of the view.
    angles: (n, 38). rotation: (n, 3, 3) wrist frame -> view. weights: (n, 21) of each joint in the losses, 0 where
    it is unknown.
    """

    joints: Tensor
    wrist: Tensor
    half_extent: Tensor
    angles: Tensor
    rotation: Tensor
    weights: Tensor


def targets_of_pictures(batch: ImageBatch) -> Targets:
    """Of the hands that a batch shows; uncertain ones weigh less."""
    weights = pose_weights(batch.weight, batch.sigma, batch.joints)
    extent = batch.condition.half_extent
    return Targets(batch.joints, batch.wrist, extent, batch.angles, batch.rotation, weights)


def targets_of_generated(hands: SampledHands) -> Targets:
    """Of generated hands, about which everything is known."""
    observed = hands.observed
    weights = torch.ones_like(observed.joints[..., 0])
    extent = observed.condition.half_extent
    return Targets(observed.joints, observed.wrist, extent, hands.angles, hands.rotation, weights)


def hand_losses(predicted: HandParameters, truth: Targets, weights: LossWeights) -> dict[str, Tensor]:
    """Losses of :mod:`~hand_pose_ros.training.tasks.keypoints` with weights of joints, without zero terms."""
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


def _reprojection(joints: Tensor, truth: Targets) -> Tensor:
    """L1 distance in the view of predicted joints, placed at the true wrist, from the true ones, half extents.

    Depth and the view's extent are bounded away from zero, where the projection has a pole.
    """
    known = truth.wrist.isfinite().all(-1)
    wrist = torch.where(known[:, None], truth.wrist, torch.ones_like(truth.wrist))[:, None]
    extent = truth.half_extent.clamp(min=_MIN_HALF_EXTENT)[:, None, None]

    def project(relative: Tensor) -> Tensor:
        placed = relative + wrist
        return placed[..., :2] / placed[..., 2:].clamp(min=_MIN_DEPTH) / extent

    return l1_over(project(joints), project(truth.joints), truth.weights * known[:, None])
