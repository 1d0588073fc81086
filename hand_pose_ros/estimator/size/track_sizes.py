"""Keeps the size of each tracked hand: the one that was given or measured, else none."""

from __future__ import annotations

from dataclasses import replace

from hand_pose_ros.estimator.estimate import EstimatedHands
from hand_pose_ros.estimator.hand_size import HandSize


class TrackSizes:
    """Gives every estimated hand its size, before it is placed."""

    def __init__(self, given: HandSize | None = None) -> None:
        """``given``: size of all hands; None if it is not known."""
        self._given = given

    @property
    def given(self) -> HandSize | None:
        """The size that holds for all hands; None if it is not known."""
        return self._given

    def give(self, size: HandSize | None) -> None:
        """Use a size for all hands from now on."""
        self._given = size

    def sized(self, estimate: EstimatedHands) -> EstimatedHands:
        """Return the hands with their sizes."""
        if self._given is None:
            return estimate
        return replace(estimate, sizes=(self._given,) * len(estimate.rows))
