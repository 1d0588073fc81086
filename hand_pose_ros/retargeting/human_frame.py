"""From the human wrist frame to the robot's base frame: directions in words, as a rotation.

The wrist frame of either hand (docs/use/frames.md): x distal, z dorsal, y = z cross x, which is the thumb's
side on a right hand and the little finger's on a left hand. A robot's base frame is described by the
direction of the human
hand that each of its axes points along, when the robot hand lies over the human hand: x palmar, y across, z
distal. So one description serves both sides, and a wrong one can be seen with the eye.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.retargeting.robot_hand import Array

DIRECTIONS: Final = ("distal", "proximal", "dorsal", "palmar", "thumb", "little", "across", "-across")
"""Directions of a hand: to the fingertips, the forearm, out of the back, out of the palm, to either side, and
along the wrist frame's y, which mirrors: to the thumb on a right hand, to the little finger on a left one."""


def rotation_from_axes(axes: Sequence[str], side: str) -> Array:
    """Rotation R_base_wrist (3, 3), human wrist frame -> robot base frame: ``p_base = R p_wrist``.

    Args:
        axes: direction (:data:`DIRECTIONS`) of the hand that the base frame's x, y and z point along.
        side: 'left' or 'right', which decides where the thumb is.

    Raises:
        ValueError: an unknown direction, two axes along one line, or axes of a left-handed frame.
    """
    if len(axes) != 3 or any(axis not in DIRECTIONS for axis in axes):
        raise ValueError(f"the axes must be three of {', '.join(DIRECTIONS)}, got {list(axes)}")
    rotation = np.array([_direction(axis, side) for axis in axes])
    if abs(np.linalg.det(rotation)) < 0.5:
        raise ValueError(f"the axes {list(axes)} must point along three different lines")
    if np.linalg.det(rotation) < 0:
        raise ValueError(
            f"x: {axes[0]}, y: {axes[1]}, z: {axes[2]} is no right-handed frame on a {side} hand: "
            "one axis points the other way"
        )
    return rotation


def check_rotation(rotation: Sequence[Sequence[float]]) -> Array:
    """``rotation`` as an array (3, 3).

    Raises:
        ValueError: it is no rotation matrix, to within 1e-3.
    """
    matrix = np.array(rotation, dtype=np.float64)
    if (
        matrix.shape != (3, 3)
        or not np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-3)
        or np.linalg.det(matrix) < 0
    ):
        raise ValueError(f"rotation must be a rotation matrix (3 rows of 3 numbers), got {matrix.tolist()}")
    return matrix


def _direction(name: str, side: str) -> tuple[float, float, float]:
    """Unit vector of a direction in the wrist frame."""
    thumb = 1.0 if hand.check_side(side) == "right" else -1.0
    return {
        "distal": (1.0, 0.0, 0.0),
        "proximal": (-1.0, 0.0, 0.0),
        "dorsal": (0.0, 0.0, 1.0),
        "palmar": (0.0, 0.0, -1.0),
        "thumb": (0.0, thumb, 0.0),
        "little": (0.0, -thumb, 0.0),
        "across": (0.0, 1.0, 0.0),
        "-across": (0.0, -1.0, 0.0),
    }[name]
