"""Parts for tests of the teleoperation: a robot hand of three joints, human hands, and a check of all commands."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.gestures import gesture_angles
from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics
from hand_pose_ros.kinematics.limits import proportion_bounds
from hand_pose_ros.retargeting.teleoperation.limiter import JointLimits
from hand_pose_ros.retargeting.teleoperation.observed_hand import HandsInView, ObservedHand

LIMITS = JointLimits(
    np.array([-0.5, -0.2, -np.inf]), np.array([1.5, 1.8, np.inf]), np.array([2.0, 3.0, 4.0]), np.full(3, 30.0)
)
"""Two joints with limits and a continuous one."""
NAMES = ("finger", "thumb", "wheel")


class FakeRetargeter:
    """Gives ``positions`` for any hand, or raises ``error``, or ``search_error`` in its search."""

    joint_names = NAMES

    def __init__(self, positions: Sequence[float] = (1.0, 0.5, 0.2)) -> None:
        self.positions = np.array(positions)
        self.error: Exception | None = None
        self.search_error: Exception | None = None
        self.resets: list[np.ndarray] = []
        self.inputs: list[np.ndarray] = []

    def retarget(self, joints_m: np.ndarray, sigma_m: np.ndarray, dt_s: float) -> Any:
        self.inputs.append(joints_m)
        if self.error is not None:
            raise self.error
        return SimpleNamespace(positions_rad=self.positions.copy())

    def search_elsewhere(self) -> None:
        if self.search_error is not None:
            raise self.search_error

    def reset(self, positions_rad: np.ndarray) -> None:
        self.resets.append(positions_rad.copy())


def posed(
    gesture: str = "relaxed",
    side: str = "right",
    wrist_m: Sequence[float] = (0.0, 0.0, 0.5),
    rotation: torch.Tensor | None = None,
) -> HandFrames:
    """Joints (21, 3) and frames of a named gesture, a mean hand."""
    return forward_kinematics(
        gesture_angles(gesture, torch.float64),
        proportion_bounds(torch.float64).neutral,
        rotation,
        torch.tensor(wrist_m, dtype=torch.float64),
        hand.MEAN_ANCHOR_LENGTH_M,
        side,
    )


def observed(
    gesture: str = "relaxed",
    side: str = "right",
    track_id: int | None = 3,
    wrist_m: Sequence[float] = (0.0, 0.0, 0.5),
    score: float = 0.9,
) -> ObservedHand:
    """A hand in front of the camera."""
    joints = posed(gesture, side, wrist_m).joints.numpy()
    return ObservedHand(side, joints, np.full(hand.NUM_JOINTS, 0.004), track_id, score)


def view(*hands: ObservedHand, stamp_s: float | None) -> HandsInView:
    """The hands of an image."""
    return HandsInView(hands, stamp_s)


def assert_safe(
    commands: Sequence[np.ndarray], limits: JointLimits, period_s: float, start: np.ndarray | None = None
) -> None:
    """Every command lies within the limits and no step exceeds the velocity limit times the output period.

    Args:
        start: what the first command must be within one step of, after moving it into the limits.
    """
    sequence = np.array(commands).reshape(len(commands), len(limits.lower_rad))
    assert np.isfinite(sequence).all()
    assert (sequence >= limits.lower_rad - 1e-9).all()
    assert (sequence <= limits.upper_rad + 1e-9).all()
    if start is not None and len(sequence):
        sequence = np.vstack((limits.clamped(start), sequence))
    if len(sequence) > 1:
        assert (np.abs(np.diff(sequence, axis=0)) <= limits.velocity_rad_s * period_s + 1e-9).all()
