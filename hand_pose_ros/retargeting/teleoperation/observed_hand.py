"""A human hand as the teleoperation sees it: what of a message counts, without ROS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.common.shapes import Array
from hand_pose_ros.retargeting.wrist_frame import wrist_rotation


@dataclass(frozen=True, eq=False)
class ObservedHand:
    """One hand of one image. Unknown numbers are NaN.

    side: 'left' or 'right'. joints_m: (21, 3) in the camera's optical frame, metres. sigma_m: (21,) standard
    deviation of each joint. track_id: None without tracking. score: in [0, 1].
    wrist_rotation: (3, 3) wrist frame -> camera frame, the estimator's; if None it follows from the joints.
    wrist_covariance: (6, 6) of the wrist's position (m) and small rotation (rad) about camera axes; NaN where
        not known.
    """

    side: str
    joints_m: Array
    sigma_m: Array
    track_id: int | None = None
    score: float = 1.0
    wrist_rotation: Array | None = None
    wrist_covariance: Array | None = None

    def __post_init__(self) -> None:
        hand.check_side(self.side)
        for name, shape in (("joints_m", (hand.NUM_JOINTS, 3)), ("sigma_m", (hand.NUM_JOINTS,))):
            if np.shape(getattr(self, name)) != shape:
                raise ValueError(f"{name} must have shape {shape}, got {np.shape(getattr(self, name))}")

    @property
    def rotation(self) -> Array:
        """(3, 3) wrist frame -> camera frame. Raises ValueError if the palm is degenerate."""
        if self.wrist_rotation is not None:
            return self.wrist_rotation
        return wrist_rotation(self.joints_m, self.side)

    @property
    def covariance(self) -> Array:
        """(6, 6) of the wrist; of its position by the wrist's sigma if no more is known."""
        if self.wrist_covariance is not None:
            return self.wrist_covariance
        result = np.full((6, 6), np.nan)
        result[:3, :3] = self.sigma_m[hand.WRIST] ** 2 * np.eye(3)
        return result

    @property
    def wrist_m(self) -> Array:
        """Position (3,) of the wrist."""
        return self.joints_m[hand.WRIST]

    @property
    def label(self) -> str:
        """The hand in words."""
        return f"{self.side} hand" + ("" if self.track_id is None else f" (track {self.track_id})")


@dataclass(frozen=True)
class HandsInView:
    """All hands of one image. stamp_s: the image's time, None if it has none."""

    hands: tuple[ObservedHand, ...]
    stamp_s: float | None
