"""Places objects in training images: in the grasp, in front of the hand, or behind it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.rendering.crop.mesh_part import frame_along
from hand_pose_ros.rendering.crop.solids import SOLIDS

_FINGER_FLESH_M = 0.008
_TIPS = np.array(hand.FINGERTIPS)


class PlacedSolid(NamedTuple):
    """A solid of :mod:`hand_pose_ros.rendering.crop.solids`: half_size (3,) metres, rotation (3, 3) from its frame
    and centre (3,), both in the camera's.
    """

    kind: str
    half_size: np.ndarray
    rotation: np.ndarray
    centre: np.ndarray


def in_grasp(joints: np.ndarray, generator: np.random.Generator) -> PlacedSolid:
    """Place an object in the fist or between the fingertips of a hand (21, 3), camera frame, metres.

    It may intersect the fingers: the nearer surface is drawn.
    """
    if generator.random() < 0.4:  # between the tips of the thumb and of one or more fingers
        fingers = _TIPS[1 : 2 + generator.integers(4)]
        other = joints[fingers].mean(axis=0)
        centre = (joints[4] + other) / 2
        across = other - joints[4]
        gap = np.linalg.norm(across) / 2 - _FINGER_FLESH_M
        rotation = _rotation(generator, third=across)
        thin = max(gap, 0.004) * generator.uniform(0.8, 1.0)
        half = np.array((generator.uniform(0.01, 0.09), generator.uniform(0.6, 3.0) * max(thin, 0.008), thin))
    else:
        finger = 5 + 4 * generator.integers(4)
        centre = joints[finger : finger + 4].mean(axis=0)
        radius = np.linalg.norm(joints[finger : finger + 4] - centre, axis=1).mean()
        radius = np.clip((radius - _FINGER_FLESH_M) * generator.uniform(0.7, 1.1), 0.006, 0.05)
        rotation = _rotation(generator, first=joints[5] - joints[17])
        half = np.array((generator.uniform(0.03, 0.14), radius, radius * generator.uniform(0.6, 1.2)))
        centre = centre + rotation[:, 0] * generator.normal() * 0.25 * half[0]
    kind = SOLIDS[generator.integers(len(SOLIDS))]
    if kind == "ball" and generator.random() < 0.7:
        half[:] = half[2] * generator.uniform(0.9, 1.3)
    return PlacedSolid(kind, half, rotation, centre)


def beside(
    joints: np.ndarray, depth_share: tuple[float, float], size_share: tuple[float, float],
    generator: np.random.Generator,
) -> PlacedSolid:  # fmt: skip
    """Place an object on the ray to one of a hand's joints (21, 3), camera frame, metres.

    Args:
        depth_share: range of its distance as a share of the joint's: below 1 in front of the hand.
        size_share: range of half its projected extents, as a share of half the hand's.
    """
    target = joints[generator.integers(hand.NUM_JOINTS)]
    share = generator.uniform(*depth_share)
    extent = np.ptp(joints[:, :2] / joints[:, 2:], axis=0).max() / 2 * target[2] * share
    half = generator.uniform(*size_share, 3) * extent
    sideways = np.append(generator.normal(size=2) * 0.3 * extent, 0)
    rotation = _rotation(generator)
    return PlacedSolid(SOLIDS[generator.integers(len(SOLIDS))], half, rotation, target * share + sideways)


def _rotation(
    generator: np.random.Generator, first: np.ndarray | None = None, third: np.ndarray | None = None
) -> np.ndarray:
    """Draw a random rotation (3, 3) whose first or third column is near a direction."""
    columns = generator.normal(size=(3, 3))
    given = first if third is None else third
    if given is not None:
        columns[0] = given / max(np.linalg.norm(given), 1e-6) + 0.15 * columns[0]
    rotation = frame_along(columns[0], columns[1])
    return rotation if third is None else rotation[:, [1, 2, 0]]
