"""A constant-velocity Kalman filter smooths one wrist's position, with the reported noise of each measurement."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from hand_pose_ros.estimator.hand_size import POPULATION_SPREAD

_ACCELERATION: Final = 0.7
"""Density of the acceleration's noise, m s^-2 / sqrt(Hz): that of hands that reach for something."""
_FIRST_SPEED_M_S: Final = 0.5  # standard deviation of the velocity of a hand seen for the first time
_LEAST_SIGMA: Final = 0.001  # of the distance: no measurement is better
_TYPICAL_ALONG: Final = 0.012  # of the distance: standard deviation along the ray where none is reported
_TYPICAL_ACROSS: Final = 0.003  # of the distance: across it

# Parts of matrices (6, 6) over position and velocity.
_IDENTITY: Final = np.eye(6)
_DRIFT: Final = np.eye(6, k=3)
_CROSS: Final = _DRIFT + _DRIFT.T
_POSITIONS: Final = np.diag((1.0, 1, 1, 0, 0, 0))
_VELOCITIES: Final = np.diag((0.0, 0, 0, 1, 1, 1))
_AXES: Final = np.eye(3)


class WristKalman:
    """State: position (3,) in metres and velocity (3,) in metres per second, in the camera's frame."""

    def __init__(
        self, position_m: np.ndarray, covariance_m2: np.ndarray, size_spread: float = POPULATION_SPREAD
    ) -> None:
        """Begin at a measured position (3,) with its covariance (3, 3), NaN where not known.

        ``size_spread``: standard deviation of the hand's size, as a share, which the covariance contains.
        """
        self.position_m = position_m
        self.velocity_m_s = np.zeros(3)
        self._covariance = np.zeros((6, 6))
        self._covariance[:3, :3] = measurement_noise(position_m, covariance_m2, size_spread)
        self._covariance[3:, 3:] = _FIRST_SPEED_M_S**2 * np.eye(3)
        self._gain = np.eye(3)

    def update(
        self,
        position_m: np.ndarray,
        covariance_m2: np.ndarray,
        passed_s: float,
        size_spread: float = POPULATION_SPREAD,
    ) -> np.ndarray:
        """The filtered position (3,), after a measured one (3,) with covariance (3, 3).

        If no time has passed, the velocity stays the same and the position follows with the gain of the frame
        before.
        """
        if passed_s <= 0:
            self.position_m = self.position_m + self._gain @ (position_m - self.position_m)
            return self.position_m
        predicted = self.position_m + passed_s * self.velocity_m_s
        covariance = self._predicted_covariance(passed_s)
        innovation = covariance[:3, :3] + measurement_noise(position_m, covariance_m2, size_spread)
        gain = covariance[:, :3] @ symmetric_inverse(innovation)
        step = gain @ (position_m - predicted)
        self.position_m = predicted + step[:3]
        self.velocity_m_s = self.velocity_m_s + step[3:]
        left = covariance - gain @ covariance[:3]
        self._covariance = 0.5 * (left + left.T)  # rounding that is not symmetric would grow without bound
        self._gain = gain[:3]
        return self.position_m

    def _predicted_covariance(self, passed_s: float) -> np.ndarray:
        motion = _IDENTITY + passed_s * _DRIFT
        noise = passed_s**3 / 3 * _POSITIONS + passed_s**2 / 2 * _CROSS + passed_s * _VELOCITIES
        return motion @ self._covariance @ motion.T + _ACCELERATION**2 * noise


def symmetric_inverse(matrix: np.ndarray) -> np.ndarray:
    """Inverse of a symmetric positive matrix (3, 3) by its cofactors.

    LAPACK as built into NumPy wakes a second thread even for this, and waits for it: 13 ms on busy cores.
    """
    (xx, xy, xz), (_, yy, yz), (_, _, zz) = matrix.tolist()
    a, b, c = yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy
    d, e, f = xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy
    return np.array(((a, b, c), (b, d, e), (c, e, f))) / (xx * a + xy * b + xz * c)


def measurement_noise(
    position_m: np.ndarray, covariance_m2: np.ndarray, size_spread: float = POPULATION_SPREAD
) -> np.ndarray:
    """The part (3, 3) of a position's covariance that changes from frame to frame; a typical one if it is NaN.

    A wrong size of the hand shifts all frames alike along the ray: that part is subtracted, as far as there is a
    covariance left.
    """
    squared = float(position_m @ position_m)
    along = position_m[:, None] * position_m  # the variance along the ray that is 1 for the whole distance
    if not math.isfinite(float(covariance_m2.sum())):
        across = _TYPICAL_ACROSS**2
        return across * squared * _AXES + (_TYPICAL_ALONG**2 - across) * along
    least = _LEAST_SIGMA**2 * squared * _AXES
    noise = covariance_m2 + least
    of_size = size_spread**2
    if float(position_m @ covariance_m2 @ position_m) / max(squared, 1e-12) ** 2 <= of_size:
        return noise
    # To subtract more would leave a negative variance.
    most = 1.0 / float(position_m @ symmetric_inverse(noise) @ position_m)
    return noise - of_size * along if of_size < most else noise - most * along + least
