"""Losses of the orientation network: errors, and how well the stated standard deviations fit them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from hand_pose_ros.networks.orientation.network import HandOrientation

_ROOT_2: Final = math.sqrt(2.0)
_TINY: Final = 1e-6
_LEAST_SINE: Final = 0.08  # of angles near half a turn, whose axis is not unique


@dataclass(frozen=True)
class OrientationLosses:
    """Weights of the loss terms; 0 leaves a term out.

    rotation: mean angle error about the crop's axes, rad. depth: L1, anchor lengths. rotation_likelihood,
    depth_likelihood: negative log-likelihood of Laplace distributions with the stated standard deviations.
    """

    rotation: float = 2.0
    depth: float = 1.0
    rotation_likelihood: float = 0.3
    depth_likelihood: float = 0.1


def rotation_error(estimate: Tensor, truth: Tensor) -> Tensor:
    """Return the rotation vectors (n, 3), rad about fixed axes, that turn ``truth`` (n, 3, 3) into ``estimate``.

    The gradient is finite everywhere: near half a turn, whose axis is not unique, it is that of the angle alone.
    """
    turn = estimate @ truth.mT
    axis = torch.stack(
        (turn[:, 2, 1] - turn[:, 1, 2], turn[:, 0, 2] - turn[:, 2, 0], turn[:, 1, 0] - turn[:, 0, 1]), 1
    )
    sine = (axis.square().sum(1) + _TINY**2).sqrt() / 2
    cosine = (turn.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2
    angle, direction = torch.atan2(sine, cosine), axis / (2 * sine[:, None])
    near_half_turn = (cosine < 0) & (sine < _LEAST_SINE)
    return angle[:, None] * torch.where(near_half_turn[:, None], direction.detach(), direction)


def orientation_terms(
    estimate: HandOrientation, rotation: Tensor, depth: Tensor, weight: Tensor, losses: OrientationLosses
) -> dict[str, Tensor]:
    """Return the weighted terms of n hands.

    Args:
        rotation: (n, 3, 3) truth. depth: (n, 21) truth; NaN where unknown. weight: (n,) of the labels.
    """
    total = weight.sum().clamp(min=_TINY)

    def mean(values: Tensor) -> Tensor:
        return (weight * values).sum() / total

    turn = rotation_error(estimate.rotation, rotation).abs()
    known = depth[:, 1:].isfinite()
    of_hand = known.sum(1).clamp(min=1)
    miss = torch.where(known, estimate.depth[:, 1:] - depth[:, 1:].nan_to_num(), 0.0).abs()
    sigma = torch.where(known, estimate.depth_sigma[:, 1:], 1.0)
    terms = {
        "rotation": mean(turn.sum(1)),
        "depth": mean(miss.sum(1) / of_hand),
        "rotation_likelihood": mean(_laplace(turn, estimate.sigma).sum(1)),
        "depth_likelihood": mean(torch.where(known, _laplace(miss, sigma), 0.0).sum(1) / of_hand),
    }
    return {name: getattr(losses, name) * term for name, term in terms.items() if getattr(losses, name)}


def _laplace(error: Tensor, sigma: Tensor) -> Tensor:
    """Return the negative log-likelihood of absolute errors with deviations sigma, but for a constant."""
    return _ROOT_2 * error / sigma + sigma.log()
