"""The wrist frame of a hand, from the positions of its palm alone."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.common.shapes import Array
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds

_INDEX, _MIDDLE, _RING, _LITTLE = hand.KNUCKLES
_LEAST_M: Final = 0.005
"""A palm that is shorter or narrower than this has no frame."""


def wrist_rotation(joints_m: Array, side: str) -> Array:
    """Rotation (3, 3), wrist frame -> frame of ``joints_m`` (21, 3) metres: ``joint = R @ local + wrist``.

    x points at the middle finger's MCP, exactly. z is dorsal: the knuckles' line, index to little finger, lies
    across it, corrected by its tilt in the mean hand. Joints of the FK layer define the frame by their angles;
    positions alone leave the roll about x uncertain by the person's build.

    Raises:
        ValueError: the palm is degenerate or not finite.
    """
    axes = _palm_axes(joints_m, side)
    cosine, sine = _mean_roll(side)
    x, y, z = axes.T
    return np.stack((x, cosine * y - sine * z, sine * y + cosine * z), axis=1)


def in_wrist_frame(joints_m: Array, rotation: Array) -> Array:
    """Joints (21, 3) in the wrist frame, metres, given its ``rotation`` (3, 3) in the frame of ``joints_m``."""
    return (joints_m - joints_m[hand.WRIST]) @ rotation


def _palm_axes(joints_m: Array, side: str) -> Array:
    """Columns x (to the middle MCP), y (along the knuckles), z = x cross y; (3, 3)."""
    joints = np.asarray(joints_m, np.float64)
    distal = joints[_MIDDLE] - joints[hand.WRIST]
    across = (joints[_INDEX] - joints[_LITTLE]) + (joints[_MIDDLE] - joints[_RING]) / 2
    if hand.check_side(side) == "left":
        across = -across
    length = float(np.linalg.norm(distal))
    if not length > _LEAST_M:  # also NaN
        raise ValueError("the palm has no length")
    x = distal / length
    across = across - (across @ x) * x
    width = float(np.linalg.norm(across))
    if not width > _LEAST_M:
        raise ValueError("the palm has no width")
    y = across / width
    return np.stack((x, y, np.cross(x, y)), axis=1)


@lru_cache
def _mean_roll(side: str) -> tuple[float, float]:
    """Cosine and sine of the angle about x between the y axis of the mean hand's wrist frame and its knuckles."""
    frames = forward_kinematics(angle_bounds().neutral, proportion_bounds().neutral, side=side)
    axes = _palm_axes(frames.joints.numpy(), side)
    true_y = frames.rotations[hand.WRIST].numpy().astype(np.float64)[:, 1]
    cosine, sine = float(axes[:, 1] @ true_y), -float(axes[:, 2] @ true_y)
    norm = float(np.hypot(cosine, sine))
    return cosine / norm, sine / norm
