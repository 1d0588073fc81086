"""The one joint table: names, order, parents, degrees of freedom, limits and bone proportions of a hand.

The skeleton is the tree of the diffusion + FK paper (sections 2.6 and 3.1): 21 nodes, 20 bones. Node ``i``
owns the bone that *ends* in it, ``PARENTS[i] -> i``, and the rotation of that bone relative to its parent's
(eq. 7). So the angles named after a joint sit on the bones that leave that joint: ``index_mcp_flexion``
turns the proximal phalanx, the bone that ends in the node ``index_pip``.

A rotation is ``Ry(flexion) @ Rz(abduction) @ Rx(twist)`` in the parent's frame; x runs along the bone, z out of
the back of the hand. With flexion outermost the decomposition is singular only at 90 degrees of abduction,
which no joint of a hand reaches. Signs, for both hands: flexion > 0 towards the palm; abduction > 0
towards the thumb's side (radial); twist > 0 turns, on a right hand, y towards z.

Everything here is plain Python (angles in degrees, as the sources state them); :func:`limits` gives radians.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SIDES: Final = ("left", "right")
FINGERS: Final = ("thumb", "index", "middle", "ring", "little")

JOINT_NAMES: Final = (
    "wrist",
    "thumb_cmc", "thumb_mcp", "thumb_ip", "thumb_tip",
    "index_mcp", "index_pip", "index_dip", "index_tip",
    "middle_mcp", "middle_pip", "middle_dip", "middle_tip",
    "ring_mcp", "ring_pip", "ring_dip", "ring_tip",
    "little_mcp", "little_pip", "little_dip", "little_tip",
)  # fmt: skip
NUM_JOINTS: Final = len(JOINT_NAMES)
JOINT_INDEX: Final = {name: index for index, name in enumerate(JOINT_NAMES)}
WRIST: Final = 0
FINGERTIPS: Final = (4, 8, 12, 16, 20)

PARENTS: Final = (-1, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19)
"""Parent node of each node; -1 for the wrist."""
BONES: Final = tuple((PARENTS[i], i) for i in range(1, NUM_JOINTS))
"""(parent, child) of the 20 bones; bone ``b`` ends in node ``b + 1``."""
NUM_BONES: Final = len(BONES)
LEVELS: Final = tuple(tuple(range(1 + depth, NUM_JOINTS, 4)) for depth in range(4))
"""Nodes by depth below the wrist, five fingers each: the breadth-first order of eq. 7."""
KNUCKLES: Final = LEVELS[0][1:]
"""The MCPs of the four fingers."""
PALM_JOINTS: Final = (WRIST, *LEVELS[0])
"""The wrist and the first joint of each finger: nearly rigid."""
ANCHOR_BONE: Final = 4
"""Bone wrist -> index MCP, whose length is the scale of the hand (2.6)."""
ANCHOR_JOINT: Final = BONES[ANCHOR_BONE][1]
"""The joint that the anchor bone ends in: the index MCP."""
MIDDLE_FINGER: Final = slice(8, 12)
"""The four bones wrist -> tip of the middle finger, whose sum is the length of the hand along its bones."""
MEAN_ANCHOR_LENGTH_M: Final = 0.089
"""Mean length of the anchor bone over adults, metres (median of the subjects in docs/how/limits.md)."""
MEAN_ANCHOR_LENGTH_MM: Final = 1000 * MEAN_ANCHOR_LENGTH_M
"""Millimetres per anchor length, for errors of stored images, whose hands have no size of their own."""


@dataclass(frozen=True)
class Angle:
    """One bounded angle of the hand: which node it turns, about which axis, and its range in degrees."""

    name: str
    node: int
    motion: str
    min_deg: float
    neutral_deg: float
    max_deg: float

    @property
    def axis(self) -> int:
        """Column of the axis in the node's (twist x, flexion y, abduction z) frame."""
        return MOTION_AXES[self.motion]


MOTION_AXES: Final = {"twist": 0, "flexion": 1, "abduction": 2}

# Range of each angle in degrees: (minimum, neutral, maximum). Sources: docs/how/limits.md.
# In short: published ranges of motion of healthy adults, widened where real poses need it.
_ARTICULATION: Final = {
    "thumb_cmc": {"flexion": (-30, 15, 50), "abduction": (-40, -5, 30), "twist": (-35, -10, 35)},
    "thumb_mcp": {"flexion": (-25, 10, 65), "abduction": (-25, 0, 20), "twist": (-20, 0, 20)},
    "thumb_ip": {"flexion": (-30, 15, 90)},
    "index_mcp": {"flexion": (-40, 12, 95), "abduction": (-38, -11, 20)},
    "index_pip": {"flexion": (-10, 20, 115)},
    "index_dip": {"flexion": (-30, 10, 90)},
    "middle_mcp": {"flexion": (-40, 14, 95), "abduction": (-32, -5, 20)},
    "middle_pip": {"flexion": (-10, 20, 115)},
    "middle_dip": {"flexion": (-30, 10, 90)},
    "ring_mcp": {"flexion": (-40, 16, 100), "abduction": (-28, 5, 34)},
    "ring_pip": {"flexion": (-10, 20, 115)},
    "ring_dip": {"flexion": (-30, 10, 90)},
    "little_mcp": {"flexion": (-40, 18, 105), "abduction": (-30, 13, 45)},
    "little_pip": {"flexion": (-10, 20, 110)},
    "little_dip": {"flexion": (-30, 10, 90)},
}
# The bones wrist -> first joint of each finger do not move with the fingers: their angles are the person's build
# (and, for the ring and little finger, the cupping of the palm). The middle finger's direction *is* the
# wrist frame's x axis, so two of its offsets are zero by definition.
_OFFSETS: Final = {
    "thumb_base": {"flexion": (0, 34, 60), "abduction": (15, 38, 65), "twist": (-110, -75, -25)},
    "index_base": {"flexion": (-6, 3, 12), "abduction": (5, 14, 22), "twist": (-25, -5, 25)},
    "middle_base": {"flexion": (0, 0, 0), "abduction": (0, 0, 0), "twist": (-15, 2, 15)},
    "ring_base": {"flexion": (-8, 2, 15), "abduction": (-22, -14, -5), "twist": (-20, 4, 25)},
    "little_base": {"flexion": (-10, 5, 30), "abduction": (-38, -28, -14), "twist": (-20, 6, 35)},
}
# Length of each bone as a multiple of the anchor bone: (minimum, mean, maximum).
_PROPORTIONS: Final = {
    "thumb_cmc": (0.24, 0.41, 0.50), "thumb_mcp": (0.28, 0.36, 0.56),
    "thumb_ip": (0.25, 0.34, 0.50), "thumb_tip": (0.22, 0.33, 0.43),
    "index_mcp": (1.00, 1.00, 1.00), "index_pip": (0.28, 0.38, 0.60),
    "index_dip": (0.18, 0.25, 0.38), "index_tip": (0.17, 0.26, 0.36),
    "middle_mcp": (0.90, 1.02, 1.10), "middle_pip": (0.30, 0.40, 0.64),
    "middle_dip": (0.20, 0.28, 0.42), "middle_tip": (0.18, 0.27, 0.38),
    "ring_mcp": (0.84, 0.95, 1.05), "ring_pip": (0.26, 0.36, 0.60),
    "ring_dip": (0.20, 0.28, 0.41), "ring_tip": (0.18, 0.27, 0.38),
    "little_mcp": (0.76, 0.89, 1.02), "little_pip": (0.20, 0.28, 0.48),
    "little_dip": (0.14, 0.215, 0.34), "little_tip": (0.14, 0.22, 0.32),
}  # fmt: skip


def _node_turned_by(joint: str) -> int:
    """The node whose bone the angles of ``joint`` turn: the one distal of it."""
    finger, name = joint.split("_")
    first = 1 + 4 * FINGERS.index(finger)
    return first if name == "base" else JOINT_INDEX[joint] + 1


def _table(source: Mapping[str, Mapping[str, tuple[float, float, float]]]) -> tuple[Angle, ...]:
    return tuple(
        Angle(f"{joint}_{motion}", _node_turned_by(joint), motion, *map(float, values))
        for joint, motions in source.items()
        for motion, values in motions.items()
    )


ARTICULATION_ANGLES: Final = _table(_ARTICULATION)
"""The 23 angles that move with the fingers."""
OFFSET_ANGLES: Final = _table(_OFFSETS)
"""The 15 angles that place the fingers on the palm: constant for a person, up to the cupping of the palm."""
ANGLES: Final = ARTICULATION_ANGLES + OFFSET_ANGLES
"""The 38 bounded angles, in the order of every angle vector of this package."""
NUM_ANGLES: Final = len(ANGLES)
NUM_ARTICULATION: Final = len(ARTICULATION_ANGLES)
ANGLE_NAMES: Final = tuple(angle.name for angle in ANGLES)
ANGLE_INDEX: Final = {name: index for index, name in enumerate(ANGLE_NAMES)}

WRIST_ANGLE_NAMES: Final = ("wrist_flexion", "wrist_abduction", "wrist_twist")
"""The three unbounded angles of the root's orientation; networks and solvers use a 3x3 matrix instead."""
ALL_ANGLE_NAMES: Final = WRIST_ANGLE_NAMES + ANGLE_NAMES
"""The paper's 41 angles: 26 anatomical degrees of freedom and 15 offsets."""

BONE_NAMES: Final = tuple(JOINT_NAMES[child] for _, child in BONES)
"""A bone is named after the joint that it ends in."""
PROPORTIONS: Final = tuple(tuple(map(float, _PROPORTIONS[name])) for name in BONE_NAMES)
"""(minimum, mean, maximum) length of each bone relative to the anchor bone."""
PALM_LENGTHS: Final = tuple(PROPORTIONS[node - 1][1] for node in LEVELS[0])
"""Mean length of the five bones that leave the wrist, relative to the anchor bone."""

_FRAME_PREFIX: Final = "{side}_hand_"


def check_side(side: str) -> str:
    """Return ``side`` if it is 'left' or 'right', else raise ValueError."""
    if side not in SIDES:
        raise ValueError(f"side must be one of {SIDES}, got {side!r}")
    return side


def frame_name(joint: str, side: str) -> str:
    """TF frame of a joint, and its URDF link: ``right_hand_index_mcp``."""
    if joint not in JOINT_INDEX:
        raise ValueError(f"unknown joint {joint!r}; expected one of {JOINT_NAMES}")
    return _FRAME_PREFIX.format(side=check_side(side)) + joint


def joint_state_names(side: str) -> tuple[str, ...]:
    """Names of the 38 bounded angles in a JointState message and in the URDF: ``right_hand_index_mcp_flexion``."""
    prefix = _FRAME_PREFIX.format(side=check_side(side))
    return tuple(prefix + name for name in ANGLE_NAMES)


def limits() -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """(minimum, neutral, maximum) of the 38 bounded angles, each a tuple of 38 radians."""
    return (
        tuple(math.radians(angle.min_deg) for angle in ANGLES),
        tuple(math.radians(angle.neutral_deg) for angle in ANGLES),
        tuple(math.radians(angle.max_deg) for angle in ANGLES),
    )
