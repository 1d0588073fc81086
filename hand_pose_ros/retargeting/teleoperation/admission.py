"""The admission decides for each image whether its hand may move the robot, and says why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.common.options import Options, option
from hand_pose_ros.common.shapes import Array
from hand_pose_ros.retargeting.teleoperation.observed_hand import HandsInView, ObservedHand

_MEASUREMENT_M: Final = 0.05
"""Distance that a wrist may seem to move between two images by errors of measurement alone."""
_LONGEST_GAP_S: Final = 0.2
"""Time over which a wrist may have moved at full speed; after a longer gap it must come back nearby."""
_PALM_M: Final = (0.03, 0.25)
"""Lengths wrist -> middle MCP that a hand can have."""


@dataclass(frozen=True)
class AdmissionOptions(Options):
    """When a hand counts."""

    side: str = option("right", "The human hand that moves the robot.", choices=hand.SIDES, read_only=True)
    max_age_s: float = option(
        0.3,
        "Hands of images older than this are not followed, in seconds, by the node's clock.",
        minimum=0.01,
        maximum=10.0,
    )
    max_ahead_s: float = option(
        0.05,
        "Hands of images stamped further than this in the future are not followed, in seconds.",
        minimum=0.0,
        maximum=10.0,
    )
    max_wrist_speed_m_s: float = option(
        4.0,
        "A hand whose wrist moves faster from image to image counts as another hand, in m/s.",
        minimum=0.1,
        maximum=100.0,
    )
    min_score: float = option(0.0, "Hands of a lower score are not followed.", minimum=0.0, maximum=1.0)


@dataclass(frozen=True, eq=False)
class Admission:
    """The result for one image.

    hand: the hand to follow, or None. reason: why there is none. doubtful: something is wrong, beyond an empty
    view: the robot holds at once instead of after the timeout.
    """

    hand: ObservedHand | None = None
    reason: str = ""
    doubtful: bool = False


class HandAdmission:
    """Follows one hand from image to image.

    Unlocked, the hand of the best score is taken. Locked, only the hand that was taken last: its track id, its
    side, and a place that it can have reached.
    """

    def __init__(self, options: AdmissionOptions) -> None:
        self.options = options
        self._locked = False
        self._last: ObservedHand | None = None
        self._last_stamp_s: float | None = None
        self._admitted_stamp_s = 0.0

    @property
    def hand(self) -> ObservedHand | None:
        """The hand admitted last."""
        return self._last

    def lock(self) -> None:
        """From now on only the hand that was admitted last counts."""
        self._locked = self._last is not None

    def unlock(self) -> None:
        """Any hand of the side counts again."""
        self._locked = False

    def admit(self, view: HandsInView, clock_s: float) -> Admission:
        """Decide on one image.

        Args:
            clock_s: present time of the clock that stamps images.
        """
        if fault := self._stamp_fault(view.stamp_s, clock_s):
            return Admission(reason=fault, doubtful=True)
        assert view.stamp_s is not None  # a missing stamp is a fault
        of_side = [one for one in view.hands if one.side == self.options.side]
        admission = self._same_hand(view, of_side) if self._locked else _best(of_side, self.options.side)
        if admission.hand is None:
            return admission
        candidate = admission.hand
        if candidate.score < self.options.min_score:
            return Admission(reason=f"the score of the {candidate.label} is {candidate.score:.2f}")
        if fault := _shape_fault(candidate) or self._jump(candidate, view.stamp_s):
            return Admission(reason=fault, doubtful=True)
        self._last = candidate
        self._admitted_stamp_s = view.stamp_s
        return admission

    def _stamp_fault(self, stamp_s: float | None, clock_s: float) -> str:
        if stamp_s is None or not np.isfinite(stamp_s):
            return "the images have no time stamps"
        last_s, self._last_stamp_s = self._last_stamp_s, stamp_s
        age_s = clock_s - stamp_s
        if age_s > self.options.max_age_s:
            return f"the image is {age_s:.2f} s old"
        if age_s < -self.options.max_ahead_s:
            return f"the image's stamp is {-age_s:.2f} s in the future"
        if last_s is not None and stamp_s == last_s:
            return "the image repeats the stamp before"
        if last_s is not None and stamp_s < last_s:
            return f"the images' stamps went back by {last_s - stamp_s:.2f} s"
        return ""

    def _same_hand(self, view: HandsInView, of_side: list[ObservedHand]) -> Admission:
        assert self._last is not None
        followed = self._last
        if followed.track_id is None:
            return _best(of_side, self.options.side)
        same = [one for one in view.hands if one.track_id == followed.track_id]
        if same and same[0].side != followed.side:
            return Admission(reason=f"the {followed.label} is now a {same[0].side} hand", doubtful=True)
        if same:
            return Admission(same[0])
        if of_side:
            reason = f"the {followed.label} is gone; in view is the {of_side[0].label}"
            return Admission(reason=reason, doubtful=True)
        return Admission(reason=f"the {followed.label} is not in view")

    def _jump(self, candidate: ObservedHand, stamp_s: float) -> str:
        if not self._locked or self._last is None:
            return ""
        passed_s = min(abs(stamp_s - self._admitted_stamp_s), _LONGEST_GAP_S)
        distance_m = float(np.linalg.norm(candidate.wrist_m - self._last.wrist_m))
        if distance_m <= _MEASUREMENT_M + self.options.max_wrist_speed_m_s * passed_s:
            return ""
        return f"the {candidate.label} jumped by {distance_m:.2f} m"


def _best(hands: list[ObservedHand], side: str) -> Admission:
    if not hands:
        return Admission(reason=f"no {side} hand in view")
    return Admission(max(hands, key=lambda one: one.score if np.isfinite(one.score) else -1.0))


def _shape_fault(candidate: ObservedHand) -> str:
    if not np.isfinite(candidate.joints_m).all():
        return f"the {candidate.label} has joints that are not finite"
    length_m = _distance(candidate.joints_m, hand.WRIST, hand.JOINT_INDEX["middle_mcp"])
    if not _PALM_M[0] <= length_m <= _PALM_M[1]:
        return f"the palm of the {candidate.label} is {length_m:.3f} m long"
    return ""


def _distance(joints_m: Array, first: int, second: int) -> float:
    return float(np.linalg.norm(joints_m[first] - joints_m[second]))
