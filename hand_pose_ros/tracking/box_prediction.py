"""The module predicts the points of a hand at constant velocity, which decays while the hand is unseen."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

_VELOCITY_MEMORY_S: Final = 0.04  # over which velocities are averaged: detectors' points jitter
_COASTING_S: Final = 0.3  # for which an unseen hand keeps its velocity
_SLOWING_S: Final = 0.1  # in which it slows down after that


class PointMotion:
    """Image points (n, 2) of one hand and their velocities (n, 2), pixels per second."""

    def __init__(self, points_px: np.ndarray, time_s: float) -> None:
        self.points_px = points_px
        self.time_s = time_s
        self.velocity_px_s = np.zeros_like(points_px)

    def predicted(self, time_s: float) -> np.ndarray:
        """The points (n, 2) expected at a time, NaN where they were not known."""
        ahead_s = max(time_s - self.time_s, 0.0)
        reach_s = min(ahead_s, _COASTING_S)
        if ahead_s > _COASTING_S:
            reach_s += _SLOWING_S * (1 - math.exp((_COASTING_S - ahead_s) / _SLOWING_S))
        return self.points_px + reach_s * self.velocity_px_s

    def update(self, points_px: np.ndarray, time_s: float) -> None:
        """Update with the points (n, 2) of now; if no time has passed, the velocities stay the same."""
        passed_s = time_s - self.time_s
        if passed_s > 0:
            share = 1 - math.exp(-passed_s / _VELOCITY_MEMORY_S)
            change = (points_px - self.points_px) / passed_s - self.velocity_px_s
            self.velocity_px_s = self.velocity_px_s + share * np.where(np.isfinite(change), change, 0.0)
            self.time_s = time_s
        self.points_px = points_px
