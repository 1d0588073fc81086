"""Clearance of a hand's fingers from each other and from the palm: the poses that a solid hand can take."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.shapes import check_shape

FINGER_GAP: Final = 0.06
"""Axes of two fingers nearer than this (in anchor lengths, 5 mm) pass through each other, soft as they are."""
PALM_GAP: Final = 0.13
"""The same for a finger's axis and a metacarpal's."""

_CHUNK = 1024  # hands at a time: their distances stay in the processor's cache


def _pairs() -> tuple[Tensor, Tensor, Tensor]:
    """Nodes in which two bones end that may not touch, and whether the second is a metacarpal."""
    pairs = []
    for first in range(1, hand.NUM_JOINTS):
        for second in range(1, hand.NUM_JOINTS):
            (finger, level), (other, other_level) = divmod(first - 1, 4), divmod(second - 1, 4)
            of_fingers = finger < other and level > 0 and other_level > 0
            # Beside a metacarpal in any pose are the thumb's first two bones and every first phalanx.
            of_palm = level > 1 and other_level == 0 and other > 0
            if of_fingers or of_palm:
                pairs.append((first, second, of_palm))
    first, second, of_palm = zip(*pairs, strict=True)
    return torch.tensor(first), torch.tensor(second), torch.tensor(of_palm)


_FIRST, _SECOND, _OF_PALM = _pairs()
_PARENTS = torch.tensor(hand.PARENTS)


def overlap(joints: Tensor, finger_gap: float = FINGER_GAP, palm_gap: float = PALM_GAP) -> Tensor:
    """How much nearer than the gap the axes of each pair of bones are, in anchor lengths; 0 where they are clear.

    Args:
        joints: (n, 21, 3) normalised hands, in multiples of the anchor length.
        finger_gap: how far the axes of two fingers have to stay apart.
        palm_gap: how far the axis of a finger has to stay from a metacarpal's.

    Returns:
        (n, pairs), differentiable.

    Raises:
        ValueError: ``joints`` has another shape.
    """
    check_shape("joints", joints, (hand.NUM_JOINTS, 3))
    by_coordinate = joints.permute(2, 1, 0).contiguous()  # hands last: picking nodes then moves whole rows
    nodes = (_PARENTS[_FIRST], _FIRST, _PARENTS[_SECOND], _SECOND)
    distance = segment_distance(*(by_coordinate[:, of_pair] for of_pair in nodes)).T
    gap = torch.where(_OF_PALM, palm_gap, finger_gap).to(distance)
    return (gap - distance).clamp(min=0)


def collides(joints: Tensor) -> Tensor:
    """(n,) whether fingers of the normalised hands (n, 21, 3) pass through each other or the palm."""
    return torch.cat([(overlap(part) > 0).any(-1) for part in joints.split(_CHUNK)])


def segment_distance(start: Tensor, end: Tensor, other_start: Tensor, other_end: Tensor) -> Tensor:
    """Shortest distance (...) between straight segments; the ends are (3, ...), coordinates first.

    Segments have a length; between parallel ones the distance may come out too large by a rounding error.
    """
    along, other = end - start, other_end - other_start
    between = start - other_start
    aa, oo, ao = _dot(along, along), _dot(other, other), _dot(along, other)
    ab, ob = _dot(along, between), _dot(other, between)
    # Nearest points of the two lines, then of the segments: clamp one, project it on the other, and back.
    share = ((ao * ob - ab * oo) / (aa * oo - ao * ao).clamp(min=1e-9)).clamp(0, 1)
    other_share = ((ao * share + ob) / oo).clamp(0, 1)
    share = ((ao * other_share - ab) / aa).clamp(0, 1)
    gap = between + along * share - other * other_share
    return _dot(gap, gap).clamp(min=1e-9).sqrt()


def _dot(first: Tensor, second: Tensor) -> Tensor:
    return first[0] * second[0] + first[1] * second[1] + first[2] * second[2]
