"""A track holds the id, motion and side of one hand, and how long the hand has been missing."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from hand_pose_ros.pose import Detection
from hand_pose_ros.tracking.box_prediction import PointMotion
from hand_pose_ros.tracking.frame_clock import NOMINAL_INTERVAL_S
from hand_pose_ros.tracking.observation import Observation
from hand_pose_ros.tracking.side_vote import SideVote

_LONGEST_VOTE_S: Final = 0.1  # a frame after a gap does not count for all of the gap
_LONGEST_CONTEST_S: Final = 0.4  # for which the predicted motion is trusted more than the observation


class Track:
    """A tracked hand.

    confirmed: seen often or clearly enough to be reported. hidden: missing, while another hand may cover it.
    """

    def __init__(self, track_id: int, observation: Observation, time_s: float, confirmed: bool) -> None:
        self.track_id = track_id
        self.confirmed = confirmed
        self.missed_since_s: float | None = None
        self.hidden = False
        self._motion = PointMotion(observation.points_px, time_s)
        self._vote = SideVote(observation.right, NOMINAL_INTERVAL_S)

    @property
    def side(self) -> str:
        """'left' or 'right', as decided so far."""
        return self._vote.side

    @property
    def side_certainty(self) -> float:
        """From -1, certainly left, to 1, certainly right."""
        return self._vote.certainty

    @property
    def seen(self) -> bool:
        """Whether the last frame showed it."""
        return self.missed_since_s is None

    def missing_s(self, time_s: float) -> float:
        """Return the time since it was lost; 0 while it is seen."""
        return 0.0 if self.missed_since_s is None else time_s - self.missed_since_s

    def predicted(self, time_s: float) -> np.ndarray:
        """Its points (23, 2) expected at a time."""
        return self._motion.predicted(time_s)

    def last_points(self) -> np.ndarray:
        """Its points (23, 2) when it was last seen."""
        return self._motion.points_px

    def take(self, observation: Observation, time_s: float, contested: bool = False) -> None:
        """Continue in an observation.

        A ``contested`` observation may show another hand, or a mixture of both: the hand counts as seen, but for a
        while its motion is predicted instead of updated.
        """
        passed_s = time_s - self._motion.time_s
        self.missed_since_s, self.hidden = None, False
        if contested and passed_s < _LONGEST_CONTEST_S:
            return
        self._vote.add(observation.right, min(max(passed_s, 0.0), _LONGEST_VOTE_S))
        self._motion.update(observation.points_px, time_s)

    def numbered(self, observation: Observation) -> Detection:
        """Return the observation's detection with this track's id and side."""
        return replace(observation.detection, track_id=self.track_id, side=self.side)

    def miss(self, time_s: float, hidden: bool) -> None:
        """Note that a frame was searched for it without success."""
        if self.missed_since_s is None:
            self.missed_since_s = time_s
        self.hidden = hidden
