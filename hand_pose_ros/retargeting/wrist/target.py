"""The wrist target: where the arm's tool should be, in a frame of the robot, from where the human wrist is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from hand_pose_ros.common.options import Options, option
from hand_pose_ros.common.shapes import Array
from hand_pose_ros.retargeting.wrist.filter import WristFilter
from hand_pose_ros.retargeting.wrist.poses import RigidPose, rotation_vector, turned

_LONGEST_STEP_S: Final = 0.1
"""Longest time that one step of the target accounts for."""


@dataclass(frozen=True)
class WristOptions(Options):
    """The wrist target."""

    enabled: bool = option(False, "Publish wrist_target and wrist_twist for the arm.", read_only=True)
    robot_frame: str = option(
        "base_link", "Frame of the wrist target; TF must connect it with the camera's frame.", read_only=True
    )
    tool_frame: str = option(
        "",
        "Frame of the arm's tool: on engaging, the target starts where the tool is and follows the motion of the "
        "wrist. Empty: the target is the human wrist itself.",
        read_only=True,
    )
    max_tf_age_s: float = option(
        0.5,
        "Transforms older than this are not used, in seconds by the node's clock; static ones have no age.",
        minimum=0.01,
        maximum=60.0,
    )
    scale: float = option(
        1.0, "Distance that the target moves per distance of the wrist.", minimum=0.01, maximum=10.0
    )
    workspace_min_m: tuple[float, float, float] = option(
        (-1.0, -1.0, -1.0), "Lower corner of the box that the target stays in, in the robot's frame, metres."
    )
    workspace_max_m: tuple[float, float, float] = option((1.0, 1.0, 1.0), "Upper corner of the box, metres.")
    max_speed_m_s: float = option(0.5, "Largest speed of the target in m/s.", minimum=0.001, maximum=10.0)
    max_turn_rad_s: float = option(
        1.5, "Largest angular speed of the target in rad/s.", minimum=0.001, maximum=30.0
    )
    filtered: bool = option(
        True, "Smooth the wrist by Kalman filters with the stated covariance.", read_only=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(a < b for a, b in zip(self.workspace_min_m, self.workspace_max_m, strict=True)):
            raise ValueError("workspace_min_m must be less than workspace_max_m in every axis")
        if self.enabled and not self.robot_frame:
            raise ValueError("robot_frame must not be empty")


@dataclass(frozen=True, eq=False)
class WristTarget:
    """The target in the robot's frame, with its velocity: linear_m_s (3,), angular_rad_s (3,), same axes."""

    pose: RigidPose
    linear_m_s: Array
    angular_rad_s: Array


class WristFollower:
    """Follows the human wrist relative to where both stood when following began (the *index*).

    With ``H`` the human wrist and ``T`` the target, both in the robot's frame and with 0 at the index:
    ``p_T = p_T0 + scale (p_H - p_H0)``, clipped to the workspace, and ``R_T = R_H R_H0^T R_T0``. While not
    followed (clutch, hold) the target stays; following again sets a new index, wherever the hand is then.
    """

    def __init__(self, options: WristOptions) -> None:
        self.options = options
        self._filter = WristFilter()
        self._target: RigidPose | None = None
        self._index: tuple[RigidPose, RigidPose] | None = None
        self._stamp_s: float | None = None

    @property
    def pose(self) -> RigidPose | None:
        """The present target; None before the first."""
        return self._target

    def release(self) -> None:
        """Stop following; the target stays."""
        self._index = self._stamp_s = None

    def reset(self) -> None:
        """Forget the target: the next one starts at the tool again."""
        self.release()
        self._target = None
        self._filter.reset()

    def follow(
        self,
        wrist: RigidPose,
        covariance: Array,
        stamp_s: float,
        T_robot_camera: RigidPose,
        tool: RigidPose | None = None,
    ) -> WristTarget | None:
        """The target for a human wrist; None, released, if its numbers or its covariance give no finite one.

        Args:
            wrist: in the camera's frame.
            covariance: (6, 6) of the wrist's position and small rotation, NaN where not known.
            stamp_s: the image's time.
            T_robot_camera: the camera in the robot's frame.
            tool: the tool in the robot's frame, where the first target starts; the wrist itself if None.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is checked
            human = T_robot_camera @ self._filtered(wrist, covariance, stamp_s)
        if not _finite(human) or (tool is not None and not _finite(tool)):
            self.release()
            self._filter.reset()
            return None
        options = self.options
        if self._target is None:
            # A tool outside the workspace is brought in at the speed limit, not at once.
            self._target = tool or RigidPose(self._inside(human.position_m), human.rotation)
        if self._index is None:
            self._index = (human, self._target)
        human_0, target_0 = self._index
        position = self._inside(target_0.position_m + options.scale * (human.position_m - human_0.position_m))
        rotation = human.rotation @ human_0.rotation.T @ target_0.rotation
        dt_s = 0.0 if self._stamp_s is None else min(max(stamp_s - self._stamp_s, 0.0), _LONGEST_STEP_S)
        self._stamp_s = stamp_s
        if dt_s == 0.0:
            return WristTarget(self._target, np.zeros(3), np.zeros(3))
        last = self._target
        step = _shortened(position - last.position_m, options.max_speed_m_s * dt_s)
        turn = _shortened(rotation_vector(last.rotation, rotation), options.max_turn_rad_s * dt_s)
        self._target = RigidPose(last.position_m + step, turned(last.rotation, turn))
        return WristTarget(self._target, step / dt_s, turn / dt_s)

    def _filtered(self, wrist: RigidPose, covariance: Array, stamp_s: float) -> RigidPose:
        if not self.options.filtered or not _finite(wrist):
            return wrist
        return self._filter.update(wrist, covariance, stamp_s)

    def _inside(self, position_m: Array) -> Array:
        return np.clip(position_m, self.options.workspace_min_m, self.options.workspace_max_m)


def _finite(pose: RigidPose) -> bool:
    return bool(np.isfinite(pose.position_m).all() and np.isfinite(pose.rotation).all())


def _shortened(vector: Array, longest: float) -> Array:
    """``vector`` (3,), no longer than ``longest``."""
    length = float(np.linalg.norm(vector))
    return vector if length <= longest else vector * (longest / length)
