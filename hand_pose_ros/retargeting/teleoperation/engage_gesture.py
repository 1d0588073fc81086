"""A gesture of the other hand, held for a stated time, engages or disengages."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.common.options import Options, option
from hand_pose_ros.common.shapes import Array
from hand_pose_ros.gestures import GESTURES_DEG, gesture_angles
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import proportion_bounds
from hand_pose_ros.retargeting.teleoperation.observed_hand import ObservedHand
from hand_pose_ros.retargeting.wrist_frame import in_wrist_frame, wrist_rotation

NO_GESTURE: Final = "none"
GESTURES: Final = (NO_GESTURE, "open", "fist", "point", "victory", "thumbs_up", "call", "horns")
"""Gestures to choose from: those that differ clearly from each other and from a relaxed hand."""
_MOVING_BONES: Final = tuple(bone for bone, (parent, _) in enumerate(hand.BONES) if parent != hand.WRIST)
_LARGEST_ANGLE_RAD: Final = 0.45
"""Mean angle between a hand's bones and a gesture's up to which the gesture is recognised."""


@dataclass(frozen=True)
class GestureOptions(Options):
    """The gesture that engages and disengages."""

    name: str = option(
        NO_GESTURE,
        "Gesture of the other hand that engages, and shown again disengages; `none` for no gesture.",
        choices=GESTURES,
    )
    hold_s: float = option(
        1.0, "Time for which the gesture must be shown, in seconds.", minimum=0.2, maximum=10.0
    )


class HeldGesture:
    """Reports once when the gesture has been shown long enough; it must end before it counts again."""

    def __init__(self, options: GestureOptions) -> None:
        self.options = options
        self._since_s: float | None = None
        self._reported = False

    def update(self, other_hand: ObservedHand | None, now_s: float) -> bool:
        """Whether the gesture has now been held for ``hold_s``.

        Args:
            other_hand: the hand that may show it, or None if it is not in view.
            now_s: of a monotonic clock.
        """
        if self.options.name == NO_GESTURE:
            return False
        if other_hand is None or nearest_gesture(other_hand) != self.options.name:
            self._since_s, self._reported = None, False
            return False
        if self._since_s is None:
            self._since_s = now_s
        if self._reported or now_s - self._since_s < self.options.hold_s:
            return False
        self._reported = True
        return True


def nearest_gesture(observed: ObservedHand) -> str | None:
    """Name of the pose of :mod:`hand_pose_ros.gestures` that the hand is nearest to; None if it is near none.

    Compares the directions of the 15 finger bones in the wrist frame by their mean angle.
    """
    try:
        directions = _directions(observed.joints_m, observed.side)
    except ValueError:
        return None
    angles = {
        name: float(np.arccos(np.clip((directions * reference).sum(-1), -1, 1)).mean())
        for name, reference in _references(observed.side).items()
    }
    name = min(angles, key=lambda key: angles[key])
    return name if angles[name] <= _LARGEST_ANGLE_RAD else None


def _directions(joints_m: Array, side: str) -> Array:
    """Unit vectors (15, 3) along the bones of the fingers, in the wrist frame; ValueError if one is degenerate."""
    joints = np.asarray(joints_m, np.float64)
    local = in_wrist_frame(joints, wrist_rotation(joints, side))
    parents, children = np.array(hand.BONES)[list(_MOVING_BONES)].T
    bones = local[children] - local[parents]
    lengths = np.linalg.norm(bones, axis=-1, keepdims=True)
    if not (lengths > 0).all():
        raise ValueError("a bone has no length")
    return bones / lengths


@lru_cache
def _references(side: str) -> dict[str, Array]:
    lengths = proportion_bounds(torch.float64).neutral
    return {
        name: _directions(
            forward_kinematics(gesture_angles(name, torch.float64), lengths, side=side).joints.numpy(), side
        )
        for name in GESTURES_DEG
    }
