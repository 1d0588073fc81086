"""The head maps features to a valid hand: bounded angles and proportions, a 9D root rotation, and an FK layer."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from hand_pose_ros import hand
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds, sine_bound, sine_bound_inverse
from hand_pose_ros.networks.embeddings import residual_mlp
from hand_pose_ros.rotations import orthogonalise

_ROTATION: Final = 9
_OUTPUTS: Final = _ROTATION + hand.NUM_ANGLES + hand.NUM_BONES
# The palm faces the camera with the fingers up: the right hand's wrist frame in the canonical view.
_PALM_UP: Final = (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0)


class HandParameters(NamedTuple):
    """Right hands of anchor length 1, relative to the wrist.

    angles: (n, 38) rad. proportions: (n, 20). rotation: (n, 3, 3) wrist frame -> view frame.
    joints: (n, 21, 3) and rotations: (n, 21, 3, 3) of the FK layer, in the view frame.
    """

    angles: Tensor
    proportions: Tensor
    rotation: Tensor
    joints: Tensor
    rotations: Tensor


class HandHead(nn.Module):
    """An MLP that outputs valid hands only (paper 2.2 and 2.6); at first the neutral hand, palm up."""

    def __init__(self, inputs: int, width: int = 512, blocks: int = 2) -> None:
        super().__init__()
        self.body = residual_mlp(inputs, width, blocks)
        self.out = nn.Linear(width, _OUTPUTS)
        angles, proportions = angle_bounds(), proportion_bounds()
        with torch.no_grad():
            self.out.weight.mul_(0.1)
            self.out.bias.copy_(
                torch.cat(
                    (
                        torch.tensor(_PALM_UP),
                        sine_bound_inverse(angles.neutral, angles),
                        sine_bound_inverse(proportions.neutral, proportions),
                    )
                )
            )

    def forward(self, features: Tensor) -> HandParameters:
        """Map features (n, inputs) to hands; any finite features give a hand within all limits."""
        raw = self.out(self.body(features)).float()
        return hand_from_raw(raw)


def hand_from_raw(raw: Tensor) -> HandParameters:
    """Map unbounded values (n, 67), 9 for rotation, 38 for angles, 20 for proportions, to hands (eq. 1 and 7)."""
    matrix, angles, proportions = raw.split((_ROTATION, hand.NUM_ANGLES, hand.NUM_BONES), dim=-1)
    angles = sine_bound(angles, angle_bounds(raw.dtype, raw.device))
    proportions = sine_bound(proportions, proportion_bounds(raw.dtype, raw.device))
    rotation = orthogonalise(matrix.unflatten(-1, (3, 3)))
    joints, rotations = forward_kinematics(angles, proportions, rotation)
    return HandParameters(angles, proportions, rotation, joints, rotations)
