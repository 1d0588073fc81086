"""The wrist filter smooths position and orientation of the human wrist with the covariance that is stated."""

from __future__ import annotations

from typing import Final

import numpy as np

from hand_pose_ros.common.shapes import Array
from hand_pose_ros.estimator.wrist_kalman import WristKalman
from hand_pose_ros.retargeting.wrist.poses import RigidPose, rotation_vector, turned

LONGEST_GAP_S: Final = 0.5
"""After a longer gap the filter starts again."""
_TURNING: Final = 2.0
"""Density of the orientation's random walk, rad / sqrt(s): that of a hand that turns while it reaches."""
_TYPICAL_SIGMA_RAD: Final = 0.08
"""Standard deviation of an orientation whose covariance is unknown."""
_LEAST_SIGMA_RAD: Final = 0.01
_SIZE_SPREAD: Final = 0.0
"""Nothing is subtracted for an uncertain size of the hand: the messages do not say whether the size was given."""


class OrientationFilter:
    """A Kalman filter of a random walk on rotations, with one variance for all axes.

    ``P += q^2 dt``; ``K = P / (P + R)``; ``Q = exp(K log(measured Q^T)) Q`` for the rotation Q; ``P = (1 - K) P``.
    """

    def __init__(self, rotation: Array, covariance_rad2: Array) -> None:
        """Begin at a measured rotation (3, 3) with covariance (3, 3), NaN where not known."""
        self.rotation = rotation
        self._variance = _variance(covariance_rad2)

    def update(self, rotation: Array, covariance_rad2: Array, passed_s: float) -> Array:
        """The filtered rotation (3, 3) after a measured one ``passed_s`` later."""
        self._variance += _TURNING**2 * max(passed_s, 0.0)
        gain = self._variance / (self._variance + _variance(covariance_rad2))
        self.rotation = turned(self.rotation, gain * rotation_vector(self.rotation, rotation))
        self._variance *= 1 - gain
        return self.rotation


class WristFilter:
    """Both filters, in the camera's frame, by image stamps."""

    def __init__(self) -> None:
        self._position: WristKalman | None = None
        self._orientation: OrientationFilter | None = None
        self._stamp_s = 0.0

    def reset(self) -> None:
        """Start again with the next measurement."""
        self._position = self._orientation = None

    def update(self, wrist: RigidPose, covariance: Array, stamp_s: float) -> RigidPose:
        """The filtered wrist in the camera's frame.

        Args:
            wrist: measured, in the camera's frame.
            covariance: (6, 6) of position (m) and small rotation (rad); NaN where not known.
            stamp_s: the image's time.
        """
        passed_s = stamp_s - self._stamp_s
        self._stamp_s = stamp_s
        if self._position is None or self._orientation is None or not 0 <= passed_s <= LONGEST_GAP_S:
            self._position = WristKalman(wrist.position_m, covariance[:3, :3], _SIZE_SPREAD)
            self._orientation = OrientationFilter(wrist.rotation, covariance[3:, 3:])
            return wrist
        return RigidPose(
            self._position.update(wrist.position_m, covariance[:3, :3], passed_s, _SIZE_SPREAD),
            self._orientation.update(wrist.rotation, covariance[3:, 3:], passed_s),
        )


def _variance(covariance_rad2: Array) -> float:
    """Mean variance of the axes, a typical one where it is unknown."""
    variance = float(np.trace(covariance_rad2)) / 3
    return max(variance, _LEAST_SIGMA_RAD**2) if np.isfinite(variance) else _TYPICAL_SIGMA_RAD**2
