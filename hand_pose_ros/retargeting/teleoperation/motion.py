"""The motion of the command: from where the robot is, after the targets, and to rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from hand_pose_ros.common.options import Options, option
from hand_pose_ros.common.shapes import Array
from hand_pose_ros.retargeting.teleoperation.interpolation import TargetInterpolator
from hand_pose_ros.retargeting.teleoperation.limiter import CommandLimiter, JointLimits

CAMERA_RATE: Final = 0.0
"""The output rate that stands for one command per image."""
_SLOWEST_OUTPUT_S: Final = 1 / 15
"""Longest time that one step of the command accounts for, at camera rate."""


@dataclass(frozen=True)
class MotionOptions(Options):
    """Limits and rate of the robot's motion."""

    output_rate_hz: float = option(
        CAMERA_RATE,
        "Commands per second, resampled to this rate; 0 for one command per image, with the least delay.",
        minimum=CAMERA_RATE,
        maximum=200.0,
        read_only=True,
    )
    max_velocity_rad_s: float = option(
        4.0,
        "Largest velocity of a joint in rad/s; a smaller limit of the robot's description holds too.",
        minimum=0.01,
        maximum=100.0,
        read_only=True,
    )
    max_acceleration_rad_s2: float = option(
        40.0,
        "Largest acceleration of a joint in rad/s^2, also when braking for a hold.",
        minimum=0.1,
        maximum=10000.0,
        read_only=True,
    )
    ramp_speed: float = option(
        0.25,
        "Fraction of the velocity limits at which the robot approaches the hand's pose after engaging or a hold.",
        minimum=0.01,
        maximum=1.0,
    )
    ramp_tolerance_rad: float = option(
        0.1, "The approach ends when no joint is further away than this, in rad.", minimum=0.001, maximum=1.0
    )
    limit_tolerance_rad: float = option(
        0.1,
        "Engaging is refused if the robot stands further outside its position limits than this, in rad.",
        minimum=0.0,
        maximum=1.0,
    )


class CommandMotion:
    """Moves the command of J joints at the output rate. Times are seconds of a monotonic clock.

    One step accounts for the time since the last, but for no more than a period: a late step makes the robot
    slower, never faster. period_s: time between two commands.
    """

    def __init__(self, limits: JointLimits, options: MotionOptions) -> None:
        self.limits = limits
        self.options = options
        self._limiter = CommandLimiter(limits)
        self._targets = TargetInterpolator()
        self._last_s: float | None = None
        self._rest_rad: Array | None = None
        rate_hz = options.output_rate_hz
        self.period_s = _SLOWEST_OUTPUT_S if rate_hz == CAMERA_RATE else 1 / rate_hz

    @property
    def braking(self) -> bool:
        """Whether the command is on its way to rest, or held there."""
        return self._rest_rad is not None

    @property
    def command_rad(self) -> Array:
        """The newest command (J,)."""
        return self._limiter.positions_rad

    def aim(self, target_rad: Array, now_s: float) -> None:
        """The target (J,) of an image came."""
        self._targets.add(target_rad, now_s, immediate=self.options.output_rate_hz == CAMERA_RATE)

    def start(self, positions_rad: Array) -> Array:
        """Start at rest from positions (J,), without a target; returns them moved into the limits."""
        self._limiter.reset(positions_rad)
        self._targets.clear()
        self._last_s = self._rest_rad = None
        return self._limiter.positions_rad

    def brake(self) -> None:
        """Come to rest as soon as the acceleration limits allow, and stay there."""
        if self._rest_rad is None:
            self._rest_rad = self._limiter.stopping_point_rad

    def halt(self) -> None:
        """Stay at the newest command, at once."""
        self._limiter.halt()
        self._rest_rad = self._limiter.positions_rad

    def abandon(self) -> None:
        """Send nothing more, not even to brake: for a robot that must not be drawn to the newest command."""
        self._limiter.halt()
        self._rest_rad = None

    def resume(self) -> None:
        """Follow the targets again."""
        self._rest_rad = None

    def follow(self, now_s: float, ramping: bool) -> tuple[Array, bool]:
        """The next command (J,) towards the target, and whether it is near it; it brakes if there is no target."""
        dt_s = self._passed_s(now_s)
        if self._targets.empty:
            return self._limiter.step(self._limiter.stopping_point_rad, dt_s), False
        target = self.limits.clamped(self._targets.at(now_s))
        command = self._limiter.step(target, dt_s, self.options.ramp_speed if ramping else 1.0)
        near = np.abs(target - command).max(initial=0.0) <= self.options.ramp_tolerance_rad
        return command, bool(near)

    def rest(self, now_s: float, stay: bool) -> Array | None:
        """The next command (J,) on the way to rest; None if there is nothing more to send.

        Args:
            stay: repeat the command at rest; otherwise it is sent once more, as a hold, and then no more.
        """
        dt_s = self._passed_s(now_s)
        if self._rest_rad is None:
            return None
        command = self._limiter.step(self._rest_rad, dt_s)
        if self._limiter.at_rest and not stay:
            self._rest_rad = None
        return command

    def _passed_s(self, now_s: float) -> float:
        last_s, self._last_s = self._last_s, now_s
        return 0.0 if last_s is None else min(max(now_s - last_s, 0.0), self.period_s)
