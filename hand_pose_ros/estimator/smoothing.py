"""What makes hands steady over time, between the estimator and the poses that leave the pipeline."""

from __future__ import annotations

from typing import Protocol

from hand_pose_ros.estimator.estimate import EstimatedHands
from hand_pose_ros.pose import HandPose


class EstimateSmoother(Protocol):
    """Replaces a frame's estimates by steadier ones, judging by the frames before; ``track_id`` tells hands."""

    def smooth(self, estimate: EstimatedHands, time_s: float) -> EstimatedHands:
        """The same hands, of the same detections.

        ``time_s`` must not fall from call to call. Hands without a number pass unchanged.
        """
        ...

    def reset(self) -> None:
        """Forget the frames before."""
        ...


class PoseSmoother(Protocol):
    """The same for poses, once they are placed in metres."""

    def smooth(self, hands: list[HandPose], time_s: float) -> list[HandPose]:
        """One pose for each of ``hands``, in the same order.

        ``time_s`` must not fall from call to call. Poses that are not valid, or without a number, pass unchanged.
        """
        ...

    def reset(self) -> None:
        """Forget the frames before."""
        ...
