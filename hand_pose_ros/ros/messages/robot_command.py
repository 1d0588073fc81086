"""The module builds the commands of a robot hand, of each of the three kinds, and reads them."""

from __future__ import annotations

import array
import math
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from builtin_interfaces.msg import Duration, Time
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, Header
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint


class CommandKind(NamedTuple):
    """A kind of command: its message, its builder from names, values (k,), a stamp and a time, and its reader."""

    message: type
    build: Callable[[Sequence[str], np.ndarray, Time, float], Any]
    read: Callable[[Any], tuple[list[str], list[float]]]


def joint_trajectory(
    names: Sequence[str], values: np.ndarray, _stamp: Time, time_from_start_s: float
) -> JointTrajectory:
    """One point, to be reached ``time_from_start_s`` after the message is received.

    The stamp stays zero: by the convention of joint_trajectory_controller the trajectory then starts at once.
    """
    seconds = math.floor(time_from_start_s)
    nanoseconds = min(round((time_from_start_s - seconds) * 1e9), 999_999_999)
    point = JointTrajectoryPoint(time_from_start=Duration(sec=seconds, nanosec=nanoseconds))
    point.positions = _doubles(values)
    return JointTrajectory(joint_names=list(names), points=[point])


def multi_array(_names: Sequence[str], values: np.ndarray, _stamp: Time, _time_s: float) -> Float64MultiArray:
    """The values in order, as the group controllers of ros2_control take them."""
    message = Float64MultiArray()
    message.data = _doubles(values)
    return message


def joint_state(names: Sequence[str], values: np.ndarray, stamp: Time, _time_s: float) -> JointState:
    """Positions with names; a driver may ignore the names. The stamp is the time of the command."""
    message = JointState(header=Header(stamp=stamp), name=list(names))
    message.position = _doubles(values)
    return message


def _read_trajectory(message: JointTrajectory) -> tuple[list[str], list[float]]:
    if not message.points:
        raise ValueError("the trajectory has no point")
    return list(message.joint_names), list(list(message.points)[-1].positions)


def _read_array(message: Float64MultiArray) -> tuple[list[str], list[float]]:
    return [], list(message.data)


def _read_joint_state(message: JointState) -> tuple[list[str], list[float]]:
    return list(message.name), list(message.position)


COMMAND_KINDS: Final = {
    "trajectory": CommandKind(JointTrajectory, joint_trajectory, _read_trajectory),
    "multi_array": CommandKind(Float64MultiArray, multi_array, _read_array),
    "joint_state": CommandKind(JointState, joint_state, _read_joint_state),
}
"""By the kind of a profile's command. Readers give names (none for an array) and values."""


def _doubles(values: np.ndarray) -> array.array:
    return array.array("d", np.ascontiguousarray(values, np.float64).tobytes())
