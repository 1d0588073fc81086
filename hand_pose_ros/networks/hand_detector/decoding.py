"""The module decodes the detector's maps: peaks of the heat, and the joints that belong to each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.networks.hand_detector.config import STRIDE

SAME_HAND: Final = 0.25
"""Mean distance of the joints of two candidates that are one hand, as a share of the larger one's extent."""
_LOG_SIZE: Final = (-3.0, 6.0)  # bounds, so that no size overflows
_MOST_STRETCH: Final = 4.0  # of uncertain joints
_LARGEST_LOGIT: Final = 60.0
_NEIGHBOURS: Final = [(y, x) for y in range(3) for x in range(3) if (y, x) != (1, 1)]


class HandCandidates(NamedTuple):
    """n hands of one image, best first.

    score: (n,) in [0, 1], of either side. right: (n,) share of the score that is for a right hand. points: (n,
    21, 2) rough joints, pixels of the input, in which the upper left corner is (0, 0).
    """

    score: np.ndarray
    right: np.ndarray
    points: np.ndarray


def decode(maps: Sequence[np.ndarray], min_score: float) -> HandCandidates:
    """Decode the maps of one image: heat (2, h, w), log size (1, h, w) and points (42, h, w).

    A cell is a hand if the sum of both sides' scores is at least ``min_score`` and no neighbour's is larger. The
    same hand may have several peaks: the caller suppresses duplicates.
    """
    heat, log_size, points = maps
    sides = 1 / (1 + np.exp(-np.clip(heat.astype(np.float64), -_LARGEST_LOGIT, _LARGEST_LOGIT)))
    score = sides.sum(0).clip(max=1.0)
    padded = np.pad(score, 1, constant_values=-1.0)
    height, width = score.shape
    around = np.max([padded[y : y + height, x : x + width] for y, x in _NEIGHBOURS], axis=0)
    rows, columns = np.nonzero((score >= max(min_score, 1e-6)) & (score >= around))
    order = np.argsort(-score[rows, columns], kind="stable")
    rows, columns = rows[order], columns[order]
    size = np.exp(np.clip(log_size[0, rows, columns].astype(np.float64), *_LOG_SIZE))
    offsets = points[:, rows, columns].astype(np.float64).T.reshape(-1, hand.NUM_JOINTS, 2)
    offsets = _of_extent_one(offsets)
    middle = np.stack((columns, rows), axis=-1) + 0.5
    joints = (middle[:, None] + offsets * size[:, None, None]) * STRIDE
    chosen = score[rows, columns]
    right = sides[1, rows, columns] / sides[:, rows, columns].sum(0)
    finite = np.isfinite(joints).all((1, 2))
    return HandCandidates(chosen[finite], right[finite], joints[finite])


def _of_extent_one(offsets: np.ndarray) -> np.ndarray:
    """Stretch joints (n, 21, 2), in sizes of the hand, about the middle of their box until its larger side is 1.

    It is 1 by definition. Uncertain joints are drawn to their mean, and would make the hand look smaller.
    """
    low, high = offsets.min(1, keepdims=True), offsets.max(1, keepdims=True)
    middle, extent = (low + high) / 2, (high - low).max(-1, keepdims=True)
    return middle + (offsets - middle) / np.maximum(extent, 1 / _MOST_STRETCH)


def distinct(found: HandCandidates) -> HandCandidates:
    """Keep the best of the candidates that show the same hand: their joints are near each other."""
    kept: list[int] = []
    extent = np.ptp(found.points, axis=1).max(-1) if len(found.points) else np.zeros(0)
    for row, points in enumerate(found.points):
        away = np.linalg.norm(found.points[kept] - points, axis=-1).mean(-1)
        if (away >= SAME_HAND * np.maximum(extent[kept], extent[row])).all():
            kept.append(row)
    return HandCandidates(*(field[kept] for field in found))
