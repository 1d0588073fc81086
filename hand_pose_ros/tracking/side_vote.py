"""The side vote decides the side of a hand from all of its frames."""

from __future__ import annotations

import math
from typing import Final

_MEMORY_S: Final = 2.0  # older evidence counts little
_MARGIN_S: Final = 0.08  # of certain evidence against a side before it is given up


class SideVote:
    """Sums evidence, as seconds of certainty, and changes the side only when the other side leads clearly."""

    def __init__(self, right: float, duration_s: float) -> None:
        """Begin with a likelihood ``right`` in [0, 1] that stands for ``duration_s`` seconds."""
        self._lead_s = (2 * right - 1) * duration_s
        self.side = "right" if right >= 0.5 else "left"

    @property
    def certainty(self) -> float:
        """From -1, certainly left, to 1, certainly right; near 0 while little is known."""
        return max(-1.0, min(1.0, self._lead_s / _MEMORY_S))

    def add(self, right: float, duration_s: float) -> None:
        """Add a frame's likelihood of a right hand, in [0, 1], for the time since the frame before."""
        self._lead_s = self._lead_s * math.exp(-duration_s / _MEMORY_S) + (2 * right - 1) * duration_s
        if self._lead_s > _MARGIN_S:
            self.side = "right"
        elif self._lead_s < -_MARGIN_S:
            self.side = "left"
