"""Hand poses made by rule: grasps, pinches, pointing, counting, thumb opposition, and blends of named gestures.

What photos of free hands lack: hands closed around objects, and fingertips that meet. Each rule draws its poses
with a continuous closure, in degrees; which points should touch is for :mod:`pose_prior_contact` to bring about.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.named_tensors import cat
from hand_pose_ros.gestures import GESTURES_DEG

MOST_CONTACTS: Final = 2

_THUMB_ANGLES = [i for i, a in enumerate(hand.ARTICULATION_ANGLES) if a.name.startswith("thumb")]
_FLEXIONS = [
    [hand.ANGLE_INDEX[f"{finger}_{joint}_flexion"] for joint in ("mcp", "pip", "dip")]
    for finger in hand.FINGERS[1:]
]
_ABDUCTIONS = [hand.ANGLE_INDEX[f"{finger}_mcp_abduction"] for finger in hand.FINGERS[1:]]

# Thumb angles in the order of hand.ARTICULATION_ANGLES: CMC flexion, abduction, twist; MCP flexion, abduction,
# twist; IP flexion. Degrees.
_THUMB_OPEN = (-12.0, -10.0, 0.0, 2.0, 0.0, 0.0, 0.0)
_THUMB_FOLDED = (34.0, -9.0, -10.0, 38.0, 0.0, 0.0, 42.0)
_THUMB_BESIDE = (4.0, -26.0, 0.0, 8.0, 0.0, 0.0, 8.0)
_THUMB_UP = (-18.0, -8.0, 0.0, 0.0, 0.0, 0.0, -8.0)
_THUMB_AROUND = (8.0, 8.0, -8.0, 12.0, 0.0, 0.0, 15.0)
_THUMB_OPPOSED = (18.0, -2.0, -6.0, 16.0, 0.0, 0.0, 16.0)
_PARALLEL = (-11.0, -2.0, 8.0, 16.0)
_SPREAD = (4.0, 0.0, -6.0, -10.0)


class RulePoses(NamedTuple):
    """n poses.

    degrees: (n, 23) of ``hand.ARTICULATION_ANGLES``.
    contacts: (n, 2, 2) points of :func:`pose_prior_contact.bone_points` that should touch; -1 for none.
    """

    degrees: Tensor
    contacts: Tensor


class _Hands:
    """n poses in the making, with the random numbers for them."""

    def __init__(self, count: int, generator: torch.Generator):
        self.count, self._generator = count, generator
        self.flexion = torch.zeros(count, 4, 3)
        self.fan = torch.tensor(_PARALLEL).expand(count, -1)
        self.thumb = torch.zeros(count, 7)
        self.contacts = torch.full((count, MOST_CONTACTS, 2), -1)

    def between(self, low: float, high: float, *shape: int) -> Tensor:
        shape = (self.count, *shape)
        return low + (high - low) * torch.rand(shape, generator=self._generator)

    def normal(self, spread: float, *shape: int) -> Tensor:
        return spread * torch.randn(self.count, *shape, generator=self._generator)

    def choice(self, shares: tuple[float, ...]) -> Tensor:
        return torch.multinomial(
            torch.tensor(shares), self.count, replacement=True, generator=self._generator
        )

    def bend(self, open_deg: tuple, closed_deg: tuple, closure: Tensor) -> Tensor:
        """(n, 4, 3) flexions between two hands, by the closure (n, 4) of each finger."""
        start, end = torch.tensor(open_deg), torch.tensor(closed_deg)
        return start + (end - start) * closure[..., None]

    def graded_closure(self, low: float, high: float) -> Tensor:
        """(n, 4) closures that rise or fall from the index to the little finger."""
        slope = self.normal(0.12, 1) * torch.linspace(-1, 1, 4)
        return self.between(low, high, 1) + slope + self.normal(0.04, 4)

    def blend_thumb(self, first: tuple, second: tuple, share: Tensor) -> None:
        share = share.reshape(-1, 1)
        self.thumb = torch.tensor(first) * (1 - share) + torch.tensor(second) * share

    def touch(self, slot: int, first: Tensor | int, second: Tensor | int) -> None:
        self.contacts[:, slot, 0] = first
        self.contacts[:, slot, 1] = second

    def finish(self, spread_deg: float = 4.0) -> RulePoses:
        degrees = torch.zeros(self.count, hand.NUM_ARTICULATION)
        degrees[:, torch.tensor(_FLEXIONS).flatten()] = self.flexion.flatten(1)
        degrees[:, _ABDUCTIONS] = self.fan + self.normal(3.0, 4)
        degrees[:, _THUMB_ANGLES] = self.thumb
        return RulePoses(degrees + self.normal(spread_deg, hand.NUM_ARTICULATION), self.contacts)


def end_of(node: Tensor | int) -> Tensor | int:
    """The bone point at a node."""
    return node - 1


def middle_of(node: Tensor | int) -> Tensor | int:
    """The bone point in the middle of the bone that ends in a node."""
    return node + hand.NUM_BONES - 1


def _power(hands: _Hands) -> None:
    """Fingers and thumb around a handle or a bottle, from wide open to a fist."""
    closure = hands.graded_closure(0.0, 1.0)
    hands.flexion = hands.bend((8.0, 18.0, 8.0), (80.0, 98.0, 60.0), closure)
    hands.blend_thumb(_THUMB_AROUND, _THUMB_FOLDED, closure.mean(-1) * hands.between(0.5, 1.0))


def _sphere(hands: _Hands) -> None:
    """Spread fingers around a ball or a lid."""
    closure = hands.graded_closure(0.0, 0.9)
    hands.flexion = hands.bend((2.0, 20.0, 10.0), (55.0, 75.0, 50.0), closure)
    share = hands.between(0.4, 1.1, 1)
    hands.fan = torch.tensor(_PARALLEL) * (1 - share) + torch.tensor(_SPREAD) * share
    hands.blend_thumb(_THUMB_AROUND, _THUMB_OPPOSED, closure.mean(-1))


def _pinch(hands: _Hands) -> None:
    """The thumb's tip meets the tip of one finger; the others are curled, open, or follow."""
    finger = hands.choice((0.45, 0.25, 0.15, 0.15))
    others = hands.between(0.0, 1.0, 1) + hands.normal(0.08, 4)
    hands.flexion = hands.bend((2.0, 8.0, 4.0), (75.0, 92.0, 50.0), others.clamp(0, 1))
    pinching = hands.bend((55.0, 20.0, 8.0), (32.0, 72.0, 35.0), hands.between(0.0, 1.0, 1))
    of_finger = (torch.arange(4) == finger[:, None])[..., None]
    hands.flexion = torch.where(of_finger, pinching, hands.flexion)
    hands.blend_thumb(_THUMB_OPPOSED, _THUMB_FOLDED, hands.between(-0.2, 0.3) + 0.12 * finger)
    hands.touch(0, end_of(torch.tensor(hand.FINGERTIPS[0])), end_of(8 + 4 * finger))


def _tripod(hands: _Hands) -> None:
    """Thumb, index and middle finger hold a pen or a small thing."""
    shape = hands.between(0.0, 1.0, 1)
    hands.flexion = hands.bend((55.0, 25.0, 12.0), (38.0, 68.0, 32.0), shape + hands.normal(0.05, 4)).clone()
    curl = hands.bend((40.0, 50.0, 25.0), (78.0, 92.0, 50.0), hands.between(0.0, 1.0, 2))
    hands.flexion[:, 2:] = curl
    hands.blend_thumb(_THUMB_OPPOSED, _THUMB_FOLDED, hands.between(-0.1, 0.25))
    hands.touch(0, end_of(4), end_of(8))
    hands.touch(1, end_of(4), end_of(12))


def _lateral(hands: _Hands) -> None:
    """The thumb presses on the side of the bent index finger, as on a key."""
    hands.flexion = hands.bend((30.0, 50.0, 25.0), (75.0, 95.0, 55.0), hands.graded_closure(0.1, 1.0))
    hands.blend_thumb(_THUMB_BESIDE, _THUMB_OPPOSED, hands.between(0.0, 0.7))
    bone = torch.where(hands.between(0, 1) < 0.5, middle_of(7), middle_of(8))
    hands.touch(0, end_of(4), bone)


def _hook(hands: _Hands) -> None:
    """Fingers hooked around a strap, with straight knuckles; or clawed, with knuckles bent back."""
    hands.flexion = hands.bend((-20.0, 55.0, 25.0), (30.0, 100.0, 60.0), hands.graded_closure(0.0, 1.0))
    hands.blend_thumb(_THUMB_BESIDE, _THUMB_AROUND, hands.between(0.0, 1.0))


def _flat(hands: _Hands) -> None:
    """Straight fingers: a flat or bent-back hand, or one bent at the knuckles only; narrow to wide spread."""
    knuckles = torch.where(hands.between(0, 1, 1) < 0.6, hands.normal(9.0, 1), hands.between(10, 85, 1))
    straight = hands.normal(4.0, 4, 1)
    hands.flexion = torch.cat((knuckles[..., None] + hands.normal(4.0, 4, 1), straight + 5, straight + 3), -1)
    share = hands.between(-0.2, 1.3, 1)
    hands.fan = torch.tensor(_PARALLEL) * (1 - share) + torch.tensor(_SPREAD) * share
    hands.blend_thumb(_THUMB_BESIDE, _THUMB_OPEN, hands.between(-0.2, 1.2))


def _count(hands: _Hands) -> None:
    """Every finger straight or folded for itself: counting, pointing, thumbs up; 32 hands in all."""
    folded = (hands.between(0, 1, 4) < 0.5).float()
    closure = folded * hands.between(0.75, 1.05, 4) + (1 - folded) * hands.normal(0.04, 4).abs()
    hands.flexion = hands.bend((3.0, 5.0, 3.0), (78.0, 100.0, 55.0), closure)
    share = hands.between(-0.2, 1.0, 1) * (1 - folded)
    hands.fan = torch.tensor(_PARALLEL) * (1 - share) + torch.tensor(_SPREAD) * share
    thumbs = torch.tensor((_THUMB_OPEN, _THUMB_FOLDED, _THUMB_UP, _THUMB_BESIDE))
    hands.thumb = thumbs[hands.choice((0.3, 0.45, 0.1, 0.15))]


def _oppose(hands: _Hands) -> None:
    """The thumb reaches for a phalanx of any finger, or for the base of the little finger."""
    finger = hands.choice((0.2, 0.25, 0.25, 0.3))
    hands.flexion = hands.bend((0.0, 8.0, 4.0), (50.0, 60.0, 30.0), hands.graded_closure(0.0, 0.8))
    hands.blend_thumb(_THUMB_OPPOSED, _THUMB_FOLDED, hands.between(0.0, 0.6) + 0.15 * finger)
    node = 6 + 4 * finger + hands.choice((0.45, 0.3, 0.25))
    hands.touch(0, end_of(4), middle_of(node))


def _gesture(hands: _Hands) -> None:
    """Between two named gestures."""
    table = torch.tensor([[degrees[a.name] for a in hand.ARTICULATION_ANGLES] for degrees in _gestures()])
    uniform = tuple([1.0] * len(table))
    share = hands.between(0.0, 1.0, 1).square()
    degrees = table[hands.choice(uniform)] * (1 - share) + table[hands.choice(uniform)] * share
    hands.flexion = degrees[:, torch.tensor(_FLEXIONS)]
    hands.fan, hands.thumb = degrees[:, _ABDUCTIONS], degrees[:, _THUMB_ANGLES]


def _gestures() -> list[dict[str, float]]:
    return [{name: float(value) for name, value in degrees.items()} for degrees in GESTURES_DEG.values()]


RULES: Final[dict[Callable[[_Hands], None], float]] = {
    _power: 0.15, _sphere: 0.07, _pinch: 0.17, _tripod: 0.08, _lateral: 0.06, _hook: 0.06,
    _flat: 0.08, _count: 0.17, _oppose: 0.06, _gesture: 0.10,
}  # fmt: skip
"""The rules and the share of the poses that each makes."""


def rule_poses(count: int, generator: torch.Generator) -> RulePoses:
    """About ``count`` poses by all rules, in their shares. The angles may lie outside the limits."""
    made = []
    for rule, share in RULES.items():
        hands = _Hands(round(share * count), generator)
        rule(hands)
        made.append(hands.finish())
    return cat(made)
