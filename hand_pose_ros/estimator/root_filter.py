"""The root filter smooths the wrist of each hand and moves the other joints with it."""

from __future__ import annotations

import math
from typing import Final

from hand_pose_ros import hand
from hand_pose_ros.estimator.hand_size import POPULATION_SPREAD
from hand_pose_ros.estimator.wrist_kalman import WristKalman
from hand_pose_ros.pose import HandPose

_LONGEST_GAP_S: Final = 0.25  # after which the last velocity is useless


class RootFilter:
    """A :class:`~hand_pose_ros.estimator.smoothing.PoseSmoother` that shifts all joints of a hand alike.

    Covariances stay the same: most of a pose's error persists over frames, so no filter removes it.
    """

    def __init__(self) -> None:
        self._filters: dict[tuple[int, str], tuple[WristKalman, float]] = {}

    def smooth(self, hands: list[HandPose], time_s: float) -> list[HandPose]:
        """See :class:`~hand_pose_ros.estimator.smoothing.PoseSmoother`."""
        smoothed = [self._smoothed(pose, time_s) for pose in hands]
        self._filters = {key: one for key, one in self._filters.items() if time_s - one[1] <= _LONGEST_GAP_S}
        return smoothed

    def reset(self) -> None:
        """Forget all hands."""
        self._filters = {}

    def _smoothed(self, pose: HandPose, time_s: float) -> HandPose:
        if not pose.valid or pose.track_id is None:
            return pose
        key = (pose.track_id, pose.side)
        measured, covariance = pose.joints_m[hand.WRIST], pose.wrist_covariance[:3, :3]
        spread = POPULATION_SPREAD
        if math.isfinite(pose.size_sigma_m):
            spread = pose.size_sigma_m / pose.anchor_length_m
        wrist, last_s = self._filters.get(key, (None, 0.0))
        if wrist is None or time_s - last_s > _LONGEST_GAP_S:
            self._filters[key] = WristKalman(measured, covariance, spread), time_s
            return pose
        self._filters[key] = wrist, time_s
        shift = wrist.update(measured, covariance, time_s - last_s, spread) - measured
        return pose.moved(shift)
