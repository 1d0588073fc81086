"""Fingers that a detector takes for one another: how to tell from its answers, and how to imitate it."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

from hand_pose_ros import hand

_FINGERS: Final = len(hand.FINGERS)
_ON_OTHER: Final = 0.12  # mean distance, half extents: nearer than this, a finger lies on the other one
_OFF_OWN: Final = 0.25  # and farther than this, not on itself
_CLEARLY: Final = 3.0  # and this many times as far from itself as from the other


class Confusion(NamedTuple):
    """(n, 5, 5) bool: fingers i and j (i < j) are swapped; finger i is placed on j, which is in its place too."""

    swapped: Tensor
    copied: Tensor


def find_confusion(points: Tensor, found: Tensor) -> Confusion:
    """Which fingers a detector that gave ``found`` (n, 21, 2) confused, the truth being ``points``; half extents.

    MCPs (the thumb's CMC) are left out: a confused finger usually starts at its own knuckle.
    """
    truth, given = (_beyond_knuckles(value) for value in (points, found))
    distance = (given[:, :, None] - truth[:, None]).norm(dim=-1).mean(-1)  # finger given, finger true
    own = distance.diagonal(dim1=1, dim2=2)[..., None]
    on_other = (distance < _ON_OTHER) & (own > _OFF_OWN) & (own > _CLEARLY * distance)
    swapped = on_other & on_other.transpose(1, 2)
    return Confusion(swapped.triu(1), on_other & ~swapped)


def confuse(values: Tensor, source: Tensor) -> Tensor:
    """``values`` (n, 21, ...) with each finger beyond its knuckle taken from finger ``source`` (n, 5)."""
    own = torch.arange(_FINGERS, device=source.device)
    shift = 4 * (source - own)  # in joints
    nodes = torch.arange(hand.NUM_JOINTS, device=source.device).repeat(len(source), 1)
    for level in range(1, 4):
        nodes[:, 1 + level :: 4] += shift
    return values[torch.arange(len(values), device=values.device)[:, None], nodes]


def fingers_unseen(visible: Tensor) -> Tensor:
    """(n, 5) bool: whether most joints of each finger beyond its knuckle are not ``visible`` (n, 21)."""
    return _beyond_knuckles(visible[..., None]).sum((-1, -2)) < 2


def random_sources(swapped: Tensor, copied: Tensor, unseen: Tensor, generator: torch.Generator) -> Tensor:
    """(n, 5) long: which finger each finger is taken for; one event per hand at the most.

    Args:
        swapped: (5, 5) probability that i and j are exchanged. copied: (2, 5, 5) that i is placed on j, for i seen
            and for i not seen.
        unseen: (n, 5) bool, of :func:`fingers_unseen`.
    """
    device, count = swapped.device, len(unseen)
    most = copied.amax(0)
    probabilities = torch.cat((swapped.flatten(), most.flatten()))
    right = (1 - probabilities.sum()).clamp(min=0)
    edges = torch.cat((right[None], probabilities)).cumsum(0)
    draw = torch.rand(count, generator=generator, device=generator.device).to(swapped)
    event = torch.bucketize(draw, edges, right=True).clamp(max=len(probabilities)) - 1  # -1: none
    sources = torch.arange(_FINGERS, device=device).repeat(count, 1)
    (hands,) = torch.nonzero(event >= 0, as_tuple=True)
    pair = event[hands] % _FINGERS**2
    first, second = pair // _FINGERS, pair % _FINGERS
    exchanged = event[hands] < _FINGERS**2
    # Events are drawn as often as they happen to the worse of seen and unseen fingers, then thinned.
    share = copied[unseen[hands, first].long(), first, second] / most[first, second].clamp(min=1e-9)
    thin = torch.rand(len(hands), generator=generator, device=generator.device).to(swapped)
    kept = exchanged | (thin < share)
    sources[hands[kept], first[kept]] = second[kept]
    sources[hands[exchanged], second[exchanged]] = first[exchanged]
    return sources


def _beyond_knuckles(points: Tensor) -> Tensor:
    """(n, 5, 3, 2)."""
    return points[:, 1:].unflatten(1, (_FINGERS, 4))[:, :, 1:]
