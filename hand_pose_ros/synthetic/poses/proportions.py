"""Random bone proportions: long fingers together, as people and as conventions of where a joint is differ."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.kinematics.limits import proportion_bounds

# Standard deviations of the logarithm of a bone's length relative to the anchor bone.
_FINGERS: Final = 0.05  # all phalanges of a hand together
_FINGER: Final = 0.025  # those of one finger
_ROW: Final = (0.0, 0.07, 0.03, 0.045)  # one row of phalanges: where a convention puts the knuckle, the tip
_THUMB: Final = (0.09, 0.05, 0.03, 0.045)  # the thumb's bones: where a convention puts its base
_BONE: Final = 0.025  # each phalanx for itself
_PALM: Final = 0.022  # width of the palm: the further from the index finger, the more


def _loadings() -> Tensor:
    """(factors, 20): how each independent standard normal variable moves the logarithm of each bone."""
    rows = [[_FINGERS * (bone % 4 > 0 or bone == 0) for bone in range(hand.NUM_BONES)]]
    bones = range(hand.NUM_BONES)
    rows += [[_FINGER * (bone // 4 == finger and bone % 4 > 0) for bone in bones] for finger in range(5)]
    rows += [[_ROW[level] * (bone >= 4 and bone % 4 == level) for bone in bones] for level in range(1, 4)]
    rows += [[_THUMB[level] * (bone == level) for bone in bones] for level in range(4)]
    # wrist -> MCP: what moves one knuckle moves those beyond it
    rows += [[_PALM * (bone % 4 == 0 and bone // 4 >= finger) for bone in bones] for finger in range(2, 5)]
    rows += (torch.eye(hand.NUM_BONES) * _BONE)[[b for b in range(hand.NUM_BONES) if b % 4]].tolist()
    return torch.tensor(rows)


_LOADINGS = _loadings()


def random_proportions(count: int, generator: torch.Generator) -> Tensor:
    """(count, 20) lengths relative to the anchor bone, in ``hand.BONES`` order, within the limits.

    Log-normal around the means of ``hand.PROPORTIONS``.
    """
    bounds = proportion_bounds()
    factors = torch.randn(count, len(_LOADINGS), generator=generator)
    return bounds.clamp(bounds.neutral * torch.exp(factors @ _LOADINGS))
