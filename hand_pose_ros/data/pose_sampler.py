"""The anatomical pose sampler: realistic hands, as angles and bone proportions."""

from __future__ import annotations

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.gestures import GESTURES_DEG, gesture_angles
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds


class PoseSampler:
    """Realistic hands: angles and proportions."""

    def __init__(self) -> None:
        self._gestures = torch.stack([gesture_angles(name) for name in GESTURES_DEG])

    def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Angles (count, 38) rad float32 within the limits, and proportions (count, 20) float32 within theirs."""
        bounds, lengths = angle_bounds(), proportion_bounds()
        chosen = torch.randint(len(self._gestures), (2, count), generator=generator)
        blend = torch.rand(count, len(hand.FINGERS), generator=generator)
        fingers = torch.tensor([(angle.node - 1) // 4 for angle in hand.ANGLES])
        blend = blend[:, fingers]
        angles = self._gestures[chosen[0]] * blend + self._gestures[chosen[1]] * (1 - blend)
        spread = 0.07 * (bounds.maximum - bounds.minimum)
        angles = angles + spread * torch.randn(angles.shape, generator=generator)
        proportions = lengths.neutral * (1 + 0.05 * torch.randn(count, hand.NUM_BONES, generator=generator))
        return bounds.clamp(angles), lengths.clamp(proportions)
