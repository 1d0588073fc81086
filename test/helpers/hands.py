"""Random hands for the tests of kinematics."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.rotations import orthogonalise


class RandomHands(NamedTuple):
    angles: Tensor
    proportions: Tensor
    root_rotation: Tensor
    root_position: Tensor
    anchor_length: Tensor

    def pose(self, side: str = "right") -> HandFrames:
        return forward_kinematics(*self, side=side)


def random_hands(count: int, seed: int, dtype: torch.dtype = torch.float64) -> RandomHands:
    """Hands uniform inside all limits, anywhere in front of a camera, 70 to 100 mm anchor length."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: Tensor, high: Tensor) -> Tensor:
        return low + (high - low) * torch.rand(count, *low.shape, generator=generator, dtype=dtype)

    angles, proportions = angle_bounds(dtype), proportion_bounds(dtype)
    return RandomHands(
        uniform(angles.minimum, angles.maximum),
        uniform(proportions.minimum, proportions.maximum),
        orthogonalise(torch.randn(count, 3, 3, generator=generator, dtype=dtype)),
        uniform(*torch.tensor([[-0.2, -0.2, 0.3], [0.2, 0.2, 1.0]], dtype=dtype)),
        uniform(*torch.tensor([0.07, 0.1], dtype=dtype)),
    )
