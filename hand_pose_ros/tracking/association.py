"""The module assigns the observations of a frame to tracks, by predicted joints or boxes and by side."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from math import perm
from typing import Final

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.tracking.observation import Observation

_LEAST_JOINTS: Final = 5  # known in both, to compare joints; with fewer, boxes are compared
_OTHER_SIDE: Final = 0.4  # cost of a certain contradiction of sides, in hand sizes
_HIDDEN: Final = 0.08  # cost, in hand sizes, of a hand that was covered a moment ago
_NEVER: Final = 1e6
_MOST_TRIED: Final = (
    120  # assignments, up to which trying them all takes less time than the import of SciPy's
)


def point_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mean distances (T, D) of the joints of hands (T, 23, 2) and hands (D, 23, 2), in sizes of the larger hand.

    If both know fewer than five joints, the boxes' corners are compared.
    """
    sizes = np.maximum(_sizes(first)[:, None], _sizes(second)[None])
    distances = np.abs(
        _as_complex(first)[:, None] - _as_complex(second)[None]
    )  # several times faster than a norm
    joints = distances[..., : hand.NUM_JOINTS]
    by_joints = joints.sum(axis=-1) / hand.NUM_JOINTS
    known = np.isfinite(by_joints)
    if not known.all():
        count = np.isfinite(joints).sum(axis=-1)
        by_box = distances[..., hand.NUM_JOINTS :].mean(axis=-1)
        by_joints = np.where(
            count >= _LEAST_JOINTS, np.nansum(joints, axis=-1) / np.maximum(count, 1), by_box
        )
    return by_joints / sizes


def side_contradictions(certainties: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Contradictions (T, D) between tracks (T,), from -1 left to 1 right, and likelihoods (D,) of right hands."""
    return np.maximum(-certainties[:, None] * (2 * right[None] - 1), 0)


def assign(costs: np.ndarray, allowed: np.ndarray) -> list[tuple[int, int]]:
    """Pairs (row, column) of the cheapest assignment of costs (T, D) that uses allowed pairs only."""
    if not costs.size:
        return []
    return [
        (row, column) for row, column in _cheapest(np.where(allowed, costs, _NEVER)) if allowed[row, column]
    ]


def _cheapest(costs: np.ndarray) -> list[tuple[int, int]]:
    """Pairs (row, column), by rows, of the cheapest complete assignment of costs (T, D)."""
    few, many = sorted(costs.shape)
    if perm(many, few) > _MOST_TRIED:
        # Late: the import takes a quarter of a second, and a node for one person never needs it.
        from scipy.optimize import linear_sum_assignment

        rows, columns = linear_sum_assignment(costs)
        return list(zip(rows.tolist(), columns.tolist(), strict=True))
    by_few = (costs if len(costs) == few else costs.T).tolist()
    best = min(
        permutations(range(many), few),
        key=lambda chosen: sum(row[column] for row, column in zip(by_few, chosen, strict=True)),
    )
    pairs = enumerate(best)
    return list(pairs) if len(costs) == few else sorted((row, column) for column, row in pairs)


def match(
    predicted: np.ndarray,
    certainties: np.ndarray,
    hidden: np.ndarray,
    gates: np.ndarray,
    observations: Sequence[Observation],
) -> list[tuple[int, int]]:
    """Pairs (track, observation) at the least total cost, the surest first.

    Args:
        predicted: (T, 23, 2) points of the tracks. certainties: (T,) of their sides, from -1 left to 1 right.
        hidden: (T,) bool: whether another hand covered them in the last frame, and so may still.
        gates: (T,) how far an observation may be from its track, in hand sizes.
    """
    if not len(predicted) or not observations:
        return []
    distances = point_distances(predicted, np.stack([one.points_px for one in observations]))
    right = np.array([one.right for one in observations])
    against = _OTHER_SIDE * side_contradictions(certainties, right) + _HIDDEN * hidden[:, None]
    costs = distances + against
    return sorted(assign(costs, distances <= gates[:, None]), key=lambda pair: costs[pair])


def _sizes(points: np.ndarray) -> np.ndarray:
    """The larger sides (N,) of the boxes of hands (N, 23, 2)."""
    return np.maximum((points[:, -1] - points[:, -2]).max(axis=-1), 1.0)


def _as_complex(points: np.ndarray) -> np.ndarray:
    """Points (..., 2) as complex numbers (...)."""
    return np.ascontiguousarray(points).view(np.complex128)[..., 0]
