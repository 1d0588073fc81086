"""Time that never runs backwards, made from the stamps of images, which may."""

from __future__ import annotations

import math
from typing import Final

NOMINAL_INTERVAL_S: Final = 1 / 30
"""Taken for the time between two frames where nothing is known of it."""


class FrameClock:
    """Turns the stamps of frames into seconds since the first frame, which never fall.

    A stamp that repeats, or lies before the last one, means that no time has passed that could be told; time goes
    on from there with the next one.
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
        """Begin anew at the next stamp."""
        self._last_stamp_s = None
        self._time_s = 0.0
