"""Joins hands with the wrist frames that the estimator sends on a topic of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from hand_pose_ros.common.shapes import Array
from hand_pose_ros.retargeting.teleoperation.observed_hand import ObservedHand
from hand_pose_ros.retargeting.wrist_frame import wrist_rotation

_SAME_WRIST_M: Final = 1e-3
"""Distance up to which a wrist is that of a hand; float32 rounds less."""


class WristFrames:
    """Keeps the newest wrist frame of one side, and how it differs from the frame that the joints alone give.

    The difference is the roll by the build of the person. A hand whose own wrist frame is missing, because the
    message was lost or is late, gets the frame of its joints with the last difference, so that it does not jump.
    """

    def __init__(self, side: str) -> None:
        self._side = side
        self._newest: tuple[float, Array, Array, Array] | None = None
        self._difference: tuple[int | None, Array] | None = None

    def add(self, stamp_s: float, position_m: Array, rotation: Array, covariance: Array) -> None:
        """A wrist came: position (3,), rotation (3, 3) wrist -> camera, covariance (6, 6)."""
        self._newest = (stamp_s, position_m, rotation, covariance)

    def joined(self, observed: ObservedHand, stamp_s: float | None) -> ObservedHand:
        """The hand with its wrist frame and covariance, as far as they are known."""
        if observed.side != self._side:
            return observed
        if self._newest is not None and self._newest[0] == stamp_s:
            _, position_m, rotation, covariance = self._newest
            if np.linalg.norm(position_m - observed.wrist_m) < _SAME_WRIST_M:
                self._difference = self._difference_of(observed, rotation)
                return replace(observed, wrist_rotation=rotation, wrist_covariance=covariance)
        if observed.wrist_rotation is None and self._difference is not None:
            track_id, difference = self._difference
            if track_id == observed.track_id:
                return _with_difference(observed, difference)
        return observed

    def _difference_of(self, observed: ObservedHand, rotation: Array) -> tuple[int | None, Array] | None:
        try:
            derived = wrist_rotation(observed.joints_m, observed.side)
        except ValueError:
            return self._difference
        return observed.track_id, derived.T @ rotation


def _with_difference(observed: ObservedHand, difference: Array) -> ObservedHand:
    try:
        derived = wrist_rotation(observed.joints_m, observed.side)
    except ValueError:
        return observed  # admission refuses it
    return replace(observed, wrist_rotation=derived @ difference)
