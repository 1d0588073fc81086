"""What joints themselves say of their order and side, without any label."""

from __future__ import annotations

import numpy as np

from hand_pose_ros import hand

_SLACK = 0.1  # of a proportion: labels are not exact
_TIPS = np.array(hand.FINGERTIPS[1:])
_KNUCKLES = np.array(hand.KNUCKLES)
_INDEX, _LITTLE = hand.JOINT_INDEX["index_mcp"], hand.JOINT_INDEX["little_mcp"]


def are_in_our_order(joints: np.ndarray) -> bool:
    """Whether all 20 bones between joints (21, 3) in our order have a length that a hand can have."""
    lengths = np.array([np.linalg.norm(joints[child] - joints[parent]) for parent, child in hand.BONES])
    low, _, high = np.array(hand.PROPORTIONS).T
    proportions = lengths / lengths[hand.ANCHOR_BONE]
    return bool(((proportions > low - _SLACK) & (proportions < high + _SLACK)).all())


def side_of(joints: np.ndarray) -> str:
    """The side of bent fingers (21, 3): they bend to the palm, which lies left or right of index x little MCP."""
    to_palm = np.cross(joints[_INDEX] - joints[0], joints[_LITTLE] - joints[0])
    bend = ((joints[_TIPS] - joints[_KNUCKLES]) @ to_palm).sum()
    return "right" if bend > 0 else "left"
