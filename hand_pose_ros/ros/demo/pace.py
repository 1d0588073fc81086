"""The module chooses the playing rate at which the graph processes every frame of a recorded video."""

from __future__ import annotations

from statistics import median
from typing import Final

_LOAD: Final = 0.6  # leaves room for the frames that take longer than the median
_BACK_OFF: Final = 0.8
_RECOVERY: Final = 1.03
_LOWEST_HZ: Final = 1.0


def sustainable_rate_hz(seconds_per_frame: list[float], source_rate_hz: float) -> float:
    """Return the source's rate, limited to the rate of a machine with measured ``seconds_per_frame``."""
    return max(_LOWEST_HZ, min(source_rate_hz, _LOAD / median(seconds_per_frame)))


def adapted_rate_hz(rate_hz: float, sustainable_hz: float, missed: bool) -> float:
    """Return the next rate: slower after missed frames, else slowly back to the sustainable one."""
    if missed:
        return max(_LOWEST_HZ, _BACK_OFF * rate_hz)
    return min(sustainable_hz, _RECOVERY * rate_hz)
