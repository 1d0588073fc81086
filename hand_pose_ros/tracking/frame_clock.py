"""The frame clock makes a time that never runs backwards from image stamps that may."""

from __future__ import annotations

import math
from typing import Final

NOMINAL_INTERVAL_S: Final = 1 / 30
"""Assumed time between two frames without stamps."""


class FrameClock:
    """Turns the stamps of frames into seconds since the first frame, which never fall.

    A stamp that repeats or lies before the last one advances the time by zero; the next stamp is measured from it.
    """

    def __init__(self) -> None:
        self._last_stamp_s: float | None = None
        self._time_s = 0.0

    def advance(self, stamp_s: float | None) -> float:
        """The time of the next frame, from its stamp in seconds, or from the frame rate's guess if it has none.

        Raises:
            ValueError: the stamp is not finite.
        """
        if stamp_s is None:
            self._time_s += NOMINAL_INTERVAL_S
            self._last_stamp_s = None
            return self._time_s
        if not math.isfinite(stamp_s):
            raise ValueError(f"a stamp must be finite or None, got {stamp_s}")
        if self._last_stamp_s is None:
            self._time_s += NOMINAL_INTERVAL_S
        else:
            self._time_s += max(stamp_s - self._last_stamp_s, 0.0)
        self._last_stamp_s = stamp_s
        return self._time_s

    def reset(self) -> None:
        """Start again at the next stamp."""
        self._last_stamp_s = None
        self._time_s = 0.0
