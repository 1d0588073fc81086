"""Commands of a robot hand: written and read back, each kind as its drivers expect it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2, by a sourced installation or `make test`")

from builtin_interfaces.msg import Duration, Time
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from hand_pose_ros.retargeting.command_output import KINDS
from hand_pose_ros.ros.messages.robot_command import COMMAND_KINDS

NAMES = ("b", "a")
VALUES = np.array([0.25, -1.5])
STAMP = Time(sec=7, nanosec=8)


def test_there_is_a_builder_of_each_kind_of_a_profile():
    assert set(COMMAND_KINDS) == set(KINDS)
    assert {k: kind.message for k, kind in COMMAND_KINDS.items()} == {
        "trajectory": JointTrajectory,
        "multi_array": Float64MultiArray,
        "joint_state": JointState,
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_command_reads_back_as_it_was_written(kind):
    message = COMMAND_KINDS[kind].build(NAMES, VALUES, STAMP, 0.05)
    assert isinstance(message, COMMAND_KINDS[kind].message)
    names, values = COMMAND_KINDS[kind].read(message)
    assert names == ([] if kind == "multi_array" else list(NAMES))
    assert values == VALUES.tolist()


def test_a_trajectory_is_one_point_that_starts_at_once():
    message = COMMAND_KINDS["trajectory"].build(NAMES, VALUES, STAMP, 1.25)
    assert message.header.stamp == Time()
    (point,) = message.points
    assert point.time_from_start == Duration(sec=1, nanosec=250_000_000)
    assert len(point.velocities) == 0
    rounded = COMMAND_KINDS["trajectory"].build(NAMES, VALUES, STAMP, 1 - 1e-12).points[0].time_from_start
    assert (rounded.sec, rounded.nanosec) == (0, 999_999_999)


def test_a_joint_state_has_the_time_of_the_command():
    assert COMMAND_KINDS["joint_state"].build(NAMES, VALUES, STAMP, 0.0).header.stamp == STAMP


def test_a_trajectory_without_points_is_refused():
    with pytest.raises(ValueError, match="no point"):
        COMMAND_KINDS["trajectory"].read(JointTrajectory())
