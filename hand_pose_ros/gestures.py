"""Named hand poses, in degrees by angle name.

A pose sets all 23 angles that move with the fingers. The offset angles, which describe a person's build, keep
their neutral values.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from hand_pose_ros import hand

_LONG_FINGERS: Final = hand.FINGERS[1:]


def _bend(mcp: float, pip: float, dip: float, *fingers: str) -> dict[str, float]:
    """Flexion of the three joints of each finger (of all but the thumb, if none is named)."""
    motions = {"mcp_flexion": mcp, "pip_flexion": pip, "dip_flexion": dip}
    return {
        f"{finger}_{motion}": degrees
        for finger in fingers or _LONG_FINGERS
        for motion, degrees in motions.items()
    }


def _fan(index: float, middle: float, ring: float, little: float) -> dict[str, float]:
    """Abduction of the four fingers."""
    return {
        f"{finger}_mcp_abduction": degrees
        for finger, degrees in zip(_LONG_FINGERS, (index, middle, ring, little), strict=True)
    }


def _thumb(
    cmc_flexion: float, cmc_abduction: float, cmc_twist: float, mcp: float, ip: float
) -> dict[str, float]:
    return {
        "thumb_cmc_flexion": cmc_flexion,
        "thumb_cmc_abduction": cmc_abduction,
        "thumb_cmc_twist": cmc_twist,
        "thumb_mcp_flexion": mcp,
        "thumb_mcp_abduction": 0,
        "thumb_mcp_twist": 0,
        "thumb_ip_flexion": ip,
    }


_RELAXED = _bend(20, 28, 15) | _fan(-8, -2, 6, 11)
_FIST = _bend(72, 93, 50) | _bend(68, 86, 42, "little") | _fan(-12, -1, 10, 20) | _thumb(28, -12, -10, 38, 45)
_PINCH = _bend(39, 50, 26, "index") | _thumb(19, -10, -3, 17, 14)

GESTURES_DEG: Final[dict[str, dict[str, float]]] = {
    "relaxed": _RELAXED | _thumb(12, -8, -8, 12, 15),
    "open": _bend(0, 4, 2) | _fan(2, 0, -2, -4) | _thumb(-12, -10, 0, 2, 0),
    "flat": _bend(2, 4, 2) | _fan(-12, -1, 10, 20) | _thumb(2, -26, 0, 5, 5),
    "fist": _FIST,
    "point": _FIST | _bend(5, 5, 3, "index"),
    "victory": _FIST | _bend(5, 5, 3, "index", "middle") | _fan(-1, -5, 10, 20),
    "three": _FIST | _bend(3, 5, 3, "index", "middle") | _fan(-1, -5, 10, 20) | _thumb(-8, -8, 0, 2, 0),
    "four": _bend(2, 5, 3) | _fan(-2, -1, 1, 4) | _thumb(38, -8, -10, 35, 40),
    "thumbs_up": _FIST | _thumb(-18, -8, 0, 0, -8),
    "pinch": _bend(42, 40, 22) | _fan(-7, -2, 6, 11) | _PINCH,
    "ok": _bend(8, 10, 5) | _fan(-7, -2, 4, 8) | _PINCH,
    "call": _FIST | _bend(0, 5, 3, "little") | _fan(-12, -1, 10, 0) | _thumb(-16, -8, 0, 0, 0),
    "horns": _FIST | _bend(3, 5, 3, "index", "little") | _fan(-10, -1, 10, 10),
    "grasp": _bend(38, 52, 30) | _fan(-6, -1, 5, 10) | _thumb(14, 0, -8, 18, 22),
}
"""Poses by name. All lie inside the limits."""


def gesture_angles(name: str, dtype: torch.dtype = torch.float32) -> Tensor:
    """The (38,) angles in radians of a named pose. Raises ValueError for an unknown name."""
    if name not in GESTURES_DEG:
        raise ValueError(f"unknown gesture {name!r}; expected one of {tuple(GESTURES_DEG)}")
    degrees = {angle.name: angle.neutral_deg for angle in hand.ANGLES} | GESTURES_DEG[name]
    return torch.tensor([math.radians(degrees[angle]) for angle in hand.ANGLE_NAMES], dtype=dtype)
