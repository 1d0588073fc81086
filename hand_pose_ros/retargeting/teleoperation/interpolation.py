"""The interpolator resamples the targets of camera frames to the output rate, without extrapolation."""

from __future__ import annotations

from typing import Final

import numpy as np

from hand_pose_ros.common.shapes import Array

LONGEST_FRAME_S: Final = 0.1
"""Longest time over which a new target is approached, however rarely frames come."""


class TargetInterpolator:
    """Moves in a straight line from the value at a frame's arrival to that frame's target.

    The line takes as long as the frame before it: at a steady frame rate the output arrives at a target when the
    next one comes, and it never passes a target. So the output is at most one frame late and never ahead.
    """

    def __init__(self) -> None:
        self._start: Array | None = None
        self._goal: Array | None = None
        self._began_s = 0.0
        self._duration_s = 0.0
        self._last_frame_s: float | None = None

    @property
    def empty(self) -> bool:
        """Whether there is no target."""
        return self._goal is None

    def clear(self) -> None:
        """Forget all targets."""
        self._start = self._goal = self._last_frame_s = None

    def add(self, target_rad: Array, now_s: float, immediate: bool = False) -> None:
        """A frame's target (J,) came at ``now_s`` of a monotonic clock; ``immediate``: it holds at once."""
        goal = np.array(target_rad, np.float64)
        last_s, self._last_frame_s = self._last_frame_s, now_s
        if self._goal is None or last_s is None or immediate:
            self._start = self._goal = goal
            self._duration_s = 0.0
        else:
            self._start, self._goal = self.at(now_s), goal
            self._duration_s = min(max(now_s - last_s, 0.0), LONGEST_FRAME_S)
        self._began_s = now_s

    def at(self, now_s: float) -> Array:
        """The target (J,) at ``now_s``; the newest frame's once its time has passed.

        Raises:
            ValueError: there is no target.
        """
        if self._goal is None or self._start is None:
            raise ValueError("there is no target")
        passed_s = now_s - self._began_s
        if passed_s >= self._duration_s or self._duration_s <= 0:
            return self._goal.copy()
        fraction = max(passed_s, 0.0) / self._duration_s
        return self._start + fraction * (self._goal - self._start)
