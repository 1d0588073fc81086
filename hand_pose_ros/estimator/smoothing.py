"""What makes estimated poses steady over time: a chain of smoothers behind the estimator."""

from __future__ import annotations

from typing import Protocol

from hand_pose_ros.pose import HandPose


class PoseSmoother(Protocol):
    """Replaces a frame's poses by steadier ones, judging by the frames before; hands are told by ``track_id``."""

    def smooth(self, hands: list[HandPose], time_s: float) -> list[HandPose]:
        """One pose for each of ``hands``, in the same order.

        ``time_s`` must not fall from call to call. Poses that are not valid, or without a number, pass unchanged.
        """

    def reset(self) -> None:
        """Forget the frames before."""
