"""The anatomical pose sampler: realistic hands, as angles and bone proportions (docs/how/pose_prior.md)."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds
from hand_pose_ros.synthetic.poses.clearance import collides
from hand_pose_ros.synthetic.poses.mixture import choose
from hand_pose_ros.synthetic.poses.prior import VARIED, PosePrior, load_prior
from hand_pose_ros.synthetic.poses.proportions import random_proportions

SHARES: Final = {"fitted": 0.42, "recombined": 0.20, "by_rule": 0.25, "broad": 0.13}
"""How much of each kind is drawn."""

_SPARE = 1.3  # hands drawn for each one wanted: about one in five collides
_STAY = 0.12  # share of the colliding hands that stay: fingers are soft, and joints are never where they seem
_JITTER_DEG = 2.0  # standard deviation by which a pose of the bank is varied
_CHANGE = 0.4  # how often the next finger of a recombined hand comes from the other hand

# Broad draws: middle and spread, as shares of the range, and DIP flexion as a multiple of PIP flexion.
_BROAD = {"mcp_flexion": (0.5, 0.25), "pip_flexion": (0.4, 0.35), "mcp_abduction": (0.5, 0.22)}
_BROAD_THUMB = (0.5, 0.25)
_COUPLING, _COUPLING_SPREAD, _COUPLING_NOISE_DEG = 0.55, 0.2, 10.0

_FINGER_OF_ANGLE = torch.tensor([(angle.node - 1) // 4 for angle in hand.ANGLES])
_THUMB = [i for i, angle in enumerate(hand.ARTICULATION_ANGLES) if angle.name.startswith("thumb")]


def _of_fingers(motion: str) -> list[int]:
    return [hand.ANGLE_INDEX[f"{finger}_{motion}"] for finger in hand.FINGERS[1:]]


class PoseSampler:
    """Realistic hands, of four kinds, without most of those that pass through themselves.

    - fitted: from the mixture of normal distributions fitted to real poses.
    - recombined: some fingers of such a hand, the others of another one or of a hand made by rule.
    - by rule: grasps, pinches, counting, opposition (:mod:`pose_prior_rules`), slightly varied.
    - broad: anywhere inside the limits, but with PIP and DIP joints coupled, and neighbours alike.

    Args:
        prior: the statistics to draw from; the shipped ones if None.
    """

    def __init__(self, prior: PosePrior | None = None) -> None:
        self._prior = load_prior() if prior is None else prior
        self._bounds = angle_bounds()
        self._span = self._bounds.maximum - self._bounds.minimum
        self._articulated = (torch.arange(hand.NUM_ANGLES) < hand.NUM_ARTICULATION).float()
        self._kinds = (self.fitted, self.recombined, self.by_rule, self.broad)

    def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """``count`` hands of all kinds in ``SHARES``, in random order.

        Args:
            count: number of hands.
            generator: where the randomness comes from; on the CPU.

        Returns:
            Angles (count, 38) in radians, within the limits, and proportions (count, 20), within theirs; float32.

        Raises:
            ValueError: ``count`` is negative.
        """
        if count < 0:
            raise ValueError(f"count must not be negative, got {count}")
        drawn = math.ceil(_SPARE * count)
        kind = choose(torch.tensor(tuple(SHARES.values())), drawn, generator)
        sizes = torch.bincount(kind, minlength=len(SHARES)).tolist()
        made = [draw(size, generator) for draw, size in zip(self._kinds, sizes, strict=True)]
        angles, proportions = map(torch.cat, zip(*made, strict=True))
        unwanted = collides(forward_kinematics(angles, proportions).joints)
        unwanted &= torch.rand(drawn, generator=generator) >= _STAY
        # The others first and in random order; unwanted ones only where there are too few.
        order = (unwanted + torch.rand(drawn, generator=generator)).argsort()[:count]
        order = order[torch.randperm(count, generator=generator)]
        return angles[order], proportions[order]

    def fitted(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """As :meth:`sample`, of this kind only and with the colliding hands."""
        angles = self._bounds.neutral.repeat(count, 1)
        angles[:, VARIED] = self._prior.mixture.sample(count, generator)
        return self._fold(angles), random_proportions(count, generator)

    def recombined(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """As :meth:`fitted`, of this kind. Neighbouring fingers often come from the same hand."""
        first, proportions = self.fitted(count, generator)
        second, _ = self.fitted(count, generator)
        made, _ = self.by_rule(count, generator)
        second = torch.where(torch.rand(count, 1, generator=generator) < 0.5, made, second)
        changes = torch.rand(count, len(hand.FINGERS), generator=generator) < _CHANGE
        from_second = changes.long().cumsum(-1) % 2 == 1
        return torch.where(from_second[:, _FINGER_OF_ANGLE], second, first), proportions

    def by_rule(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """As :meth:`fitted`, of this kind."""
        chosen = torch.randint(len(self._prior.bank_angles), (count,), generator=generator)
        angles = self._prior.bank_angles[chosen]
        jitter = math.radians(_JITTER_DEG) * torch.randn(angles.shape, generator=generator)
        return self._fold(angles + jitter * self._articulated), self._prior.bank_proportions[chosen]

    def broad(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """As :meth:`fitted`, of this kind. The offset angles are those of a fitted hand."""
        angles, proportions = self.fitted(count, generator)
        for motion, (middle, spread) in _BROAD.items():
            columns = _of_fingers(motion)
            # Half of the variance is of the hand, half of each finger.
            of_hand = torch.randn(count, 1, generator=generator)
            of_finger = torch.randn(count, len(columns), generator=generator)
            share = middle + spread * math.sqrt(0.5) * (of_hand + of_finger)
            angles[:, columns] = self._bounds.minimum[columns] + self._span[columns] * share
        angles = self._fold(angles)
        pip, dip = _of_fingers("pip_flexion"), _of_fingers("dip_flexion")
        coupling = _COUPLING + _COUPLING_SPREAD * torch.randn(count, 1, generator=generator)
        noise = math.radians(_COUPLING_NOISE_DEG) * torch.randn(count, len(dip), generator=generator)
        angles[:, dip] = coupling * angles[:, pip] + noise
        middle, spread = _BROAD_THUMB
        share = middle + spread * torch.randn(count, len(_THUMB), generator=generator)
        angles[:, _THUMB] = self._bounds.minimum[_THUMB] + self._span[_THUMB] * share
        return self._fold(angles), proportions

    def _fold(self, angles: Tensor) -> Tensor:
        """Angles (n, 38) mirrored at a limit that they are beyond, so that none gathers there."""
        low, high = self._bounds.minimum, self._bounds.maximum
        return self._bounds.clamp(high - (high - (low + (angles - low).abs())).abs())
