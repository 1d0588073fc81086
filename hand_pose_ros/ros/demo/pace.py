"""How fast a recorded video is played so that the graph processes every frame of it."""

from __future__ import annotations

from statistics import median
from typing import Final

_LOAD: Final = 0.6  # leaves room for the frames that take longer than the median
_BACK_OFF: Final = 0.8
_RECOVERY: Final = 1.03
_LOWEST_HZ: Final = 1.0


def sustainable_rate_hz(seconds_per_frame: list[float], source_rate_hz: float) -> float:
    """The source's rate, or as much of it as a machine follows that needs ``seconds_per_frame``, measured."""
    return max(_LOWEST_HZ, min(source_rate_hz, _LOAD / median(seconds_per_frame)))


def adapted_rate_hz(rate_hz: float, sustainable_hz: float, missed: bool) -> float:
    """The rate to go on with: slower after frames were missed, else slowly back to the sustainable one."""
    if missed:
        return max(_LOWEST_HZ, _BACK_OFF * rate_hz)
    return min(sustainable_hz, _RECOVERY * rate_hz)
