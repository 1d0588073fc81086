"""The frame check: how far each finger of the robot is from where the human hand wants it.

The answer to "my hand moves wrongly" lies in the two sets of vectors of a :class:`RetargetedHand`, both in the
robot's base frame. Residuals are given by part: a finger has the vectors that end in it, a pair such as
``thumb-index`` those from one finger to the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from hand_pose_ros import hand
from hand_pose_ros.retargeting.retargeter import RetargetedHand
from hand_pose_ros.retargeting.robot_hand import Array

PALM: Final = "palm"
"""The part of a vector that ends in the wrist."""


def vector_parts(vector_joints: Sequence[Sequence[int]] | Array) -> tuple[str, ...]:
    """The part of each vector: a finger, a pair of fingers, or the palm.

    Args:
        vector_joints: (k, 2) human joints at the ends, as :attr:`Retargeter.vector_joints`.
    """
    return tuple(_part(int(origin), int(task)) for origin, task in vector_joints)


def largest_residuals(parts: Sequence[str], residuals_m: Array) -> dict[str, float]:
    """The largest residual of each part in metres, in the order in which the parts first come, fingers first.

    Args:
        parts: of the k vectors. residuals_m: (k,), as :attr:`RetargetedHand.residuals_m`.

    Raises:
        ValueError: there are not as many residuals as vectors.
    """
    result: dict[str, float] = {}
    for part, residual in zip(parts, residuals_m.tolist(), strict=True):
        result[part] = max(result.get(part, 0.0), float(residual))
    return dict(sorted(result.items(), key=lambda item: "-" in item[0]))


def residual_text(residuals_m: Mapping[str, float]) -> str:
    """The residuals in words: ``thumb 4 mm, index 12 mm``."""
    return ", ".join(f"{part} {1e3 * residual:.0f} mm" for part, residual in residuals_m.items())


def label_positions(parts: Sequence[str], result: RetargetedHand) -> dict[str, Array]:
    """The end (3,) of each part's robot vector with the largest residual, base frame: where its number belongs."""
    worst: dict[str, int] = {}
    for index, part in enumerate(parts):
        if part not in worst or result.residuals_m[index] > result.residuals_m[worst[part]]:
            worst[part] = index
    ends = result.origins_m + result.robot_vectors_m
    return {part: ends[index] for part, index in worst.items()}


def _part(origin: int, task: int) -> str:
    ends = [hand.FINGERS[(joint - 1) // 4] if joint else "" for joint in (origin, task)]
    if ends[0] == ends[1] or not ends[0] or not ends[1]:
        return ends[1] or ends[0] or PALM
    return "-".join(sorted(ends, key=hand.FINGERS.index))
