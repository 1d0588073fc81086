"""When each frame of a recording is due, so that it plays at its own rate, at another, or as fast as it can."""

from __future__ import annotations

from typing import Final

_LATE_S: Final = 0.5


class Pacer:
    """Turns a recording's times into times of a clock.

    All times are seconds; ``now_s`` is of any clock that only goes forward. A player that falls behind by more
    than half a second goes on from there and does not hurry to catch up.

    Args:
        rate_hz: frames per second, evenly spaced; 0 for as fast as possible; None for the recording's own times.
        period_s: the recording's nominal period: the pause before its first frame when it starts over.
    """

    def __init__(self, rate_hz: float | None, period_s: float) -> None:
        self._rate_hz = rate_hz
        self._period_s = period_s if not rate_hz else 1.0 / rate_hz
        self._last_due_s: float | None = None
        self._last_time_s = 0.0

    def due_s(self, time_s: float, now_s: float) -> float:
        """When the next frame, taken at ``time_s`` of the recording, is due; ``now_s`` or before means at once."""
        if self._rate_hz == 0:
            return now_s
        if self._last_due_s is None:
            due_s = now_s
        elif self._rate_hz is None and time_s > self._last_time_s:
            due_s = self._last_due_s + time_s - self._last_time_s
        else:  # evenly spaced, or started over
            due_s = self._last_due_s + self._period_s
        if due_s < now_s - _LATE_S:
            due_s = now_s
        self._last_due_s, self._last_time_s = due_s, time_s
        return due_s

    def jump(self) -> None:
        """Forget where the recording was: the next frame follows the last by one period."""
        self._last_time_s = float("inf")
