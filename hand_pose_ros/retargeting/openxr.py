"""The 26 hand joints of OpenXR (XR_EXT_hand_tracking) from the 21 joints and bone frames of a hand."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.common.shapes import Array

_SEGMENTS: Final = ("metacarpal", "proximal", "intermediate", "distal", "tip")
JOINT_NAMES: Final = (
    "palm",
    "wrist",
    *(f"thumb_{segment}" for segment in _SEGMENTS if segment != "intermediate"),
    *(f"{finger}_{segment}" for finger in hand.FINGERS[1:] for segment in _SEGMENTS),
)
"""Names in the order of XrHandJointEXT: ``XR_HAND_JOINT_INDEX_PROXIMAL_EXT`` is ``index_proximal``."""
NUM_JOINTS: Final = len(JOINT_NAMES)
TRACKED: Final = tuple(
    name == "wrist" or not (name == "palm" or (name.endswith("metacarpal") and not name.startswith("thumb")))
    for name in JOINT_NAMES
)
"""Whether a joint is one of ours; the palm and the metacarpals of the four fingers are derived."""

CARPAL_SHARE: Final = 0.35
"""Share of the carpus in the length wrist -> MCP: its height is 0.54 of the third metacarpal (Youm 1978)."""

_AXES: Final = np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""``R_ours_openxr``. OpenXR: -z along the bone to the tip, y dorsal. Ours: x along the bone, z dorsal."""


class OpenXrHand(NamedTuple):
    """positions_m (26, 3) and rotations (26, 3, 3) in the frame of the joints, in ``JOINT_NAMES`` order."""

    positions_m: Array
    rotations: Array


def openxr_hand(joints_m: Array, rotations: Array) -> OpenXrHand:
    """The hand in OpenXR's joints.

    OpenXR's joint stands at the proximal end of its bone, ours at the distal end: ``index_proximal`` is our index
    MCP with the frame of the bone that ends in the PIP. A tip has the frame of the bone that ends in it. The
    metacarpals begin where the carpus ends, on the line wrist -> MCP; the palm is the middle of the third.

    Args:
        joints_m: (21, 3) in any frame, metres; NaN stays NaN.
        rotations: (21, 3, 3), bone frame -> that frame; entry 0 is the wrist's.

    Raises:
        ValueError: a wrong shape.
    """
    joints, frames = np.asarray(joints_m, np.float64), np.asarray(rotations, np.float64)
    if joints.shape != (hand.NUM_JOINTS, 3) or frames.shape != (hand.NUM_JOINTS, 3, 3):
        raise ValueError(
            f"expected joints (21, 3) and rotations (21, 3, 3), got {joints.shape}, {frames.shape}"
        )
    places: list[Array] = []
    sources: list[int] = []
    wrist = joints[hand.WRIST]
    for first in hand.LEVELS[0]:
        if first not in hand.KNUCKLES:  # the thumb's metacarpal begins in its CMC
            places += [joints[first + step] for step in range(4)]
            sources += [first + 1, first + 2, first + 3, first + 3]
            continue
        places.append(wrist + CARPAL_SHARE * (joints[first] - wrist))
        places += [joints[first + step] for step in range(4)]
        sources += [first, first + 1, first + 2, first + 3, first + 3]
    middle = hand.JOINT_INDEX["middle_mcp"]
    palm = wrist + (1 + CARPAL_SHARE) / 2 * (joints[middle] - wrist)
    return OpenXrHand(np.stack([palm, wrist, *places]), frames[[middle, hand.WRIST, *sources]] @ _AXES)
