"""Losses of the detector: CenterNet's focal loss of the heat, and L1 of sizes and joints relative to the size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from hand_pose_ros.networks.hand_detector.network import DetectorMaps
from hand_pose_ros.training.tasks.hand_detector.targets import DetectorTargets

_ALPHA: Final = 2.0  # exponents of the focal loss, as in the paper
_BETA: Final = 4.0


@dataclass(frozen=True)
class DetectorLosses:
    """Weights of the terms.

    heat: focal loss, for each hand. size: L1 of the logarithm of the size. points: L1 of the joints, sizes of
    the hand.
    """

    heat: float = 1.0
    size: float = 1.0
    points: float = 8.0

    def __post_init__(self) -> None:
        if min(self.heat, self.size, self.points) < 0:
            raise ValueError("the weights of losses must not be negative")


def detector_terms(maps: DetectorMaps, targets: DetectorTargets) -> dict[str, Tensor]:
    """Return the terms without their weights."""
    maps = DetectorMaps(*(one.float() for one in maps))
    total = targets.weight.sum().clamp(min=1.0)
    known = targets.weight > 0

    def mean_error(predicted: Tensor, truth: Tensor) -> Tensor:
        error = (predicted - torch.where(known, truth, predicted.detach())).abs().mean(1, keepdim=True)
        return (error * targets.weight).sum() / total

    return {
        "heat": heat_focal_loss(maps.heat, targets.heat, targets.counted),
        "size": mean_error(maps.log_size, targets.log_size),
        "points": mean_error(maps.points, targets.points),
    }


def heat_focal_loss(logits: Tensor, target: Tensor, counted: Tensor) -> Tensor:
    """Return the penalty-reduced focal loss (CenterNet, eq. 1) of maps (n, 2, h, w) for each hand.

    Args:
        target: 1 at the hands' cells, less around them. counted: where the loss holds.
    """
    probability = logits.sigmoid()
    is_hand = target == 1
    of_hands = (1 - probability) ** _ALPHA * logsigmoid(logits)
    of_others = (1 - target) ** _BETA * probability**_ALPHA * logsigmoid(-logits)
    terms = torch.where(is_hand, of_hands, of_others) * counted
    return -terms.sum() / (is_hand & counted).sum().clamp(min=1)
