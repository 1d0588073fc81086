"""The teleoperated robot: what its driver is told and what it tells, in its own names, order and units."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from helpers.small_robots import JOINTS, small_profile, small_urdf, write_robot

from hand_pose_ros.retargeting.demo_hand import demo_hand_urdf
from hand_pose_ros.retargeting.profile_files import read_profile
from hand_pose_ros.retargeting.teleoperation.robot import TeleopRobot, teleop_robot, urdf_text

DRIVER = """
topic: go
kind: joint_state
units: deg
joints:
  - {joint: index_end, name: d, sign: -1}
  - {joint: index_base, name: c, offset_rad: 0.5}
  - {joint: thumb_end, name: b, factor: 2}
"""
POSITIONS = np.array([0.1, 0.2, 0.3, 0.4])  # thumb base and end, index base and end


@pytest.fixture
def robot(tmp_path) -> TeleopRobot:
    profile, _ = write_robot(tmp_path, DRIVER)
    return teleop_robot(read_profile(profile), small_urdf())


def test_commands_are_in_the_driver_s_order_and_units(robot):
    assert robot.joint_names == JOINTS
    assert robot.value_names == ("d", "c", "b")
    expected = np.degrees([-0.4, 0.8, 0.4])
    np.testing.assert_allclose(robot.command_values(POSITIONS), expected)
    np.testing.assert_allclose(robot.state_values(POSITIONS), np.radians(expected))


def test_states_and_commands_are_read_back(robot):
    state = robot.positions(("b", "other", "d"), (0.4, 9.0, -0.4))
    assert state == pytest.approx({"thumb_end": 0.2, "index_end": 0.4})
    assert robot.reported_joints == ("thumb_end", "index_base", "index_end")
    assert math.isnan(robot.positions(("d",), (math.nan,))["index_end"])
    back = robot.commanded(robot.value_names, robot.command_values(POSITIONS).tolist())
    np.testing.assert_allclose(back, [math.nan, 0.2, 0.3, 0.4])
    with pytest.raises(ValueError, match="names elbow"):
        robot.commanded(("elbow",), (0.0,))
    with pytest.raises(ValueError, match="must hold 3 values"):
        robot.commanded((), (0.0,))
    with pytest.raises(ValueError, match="argument 2"):
        robot.positions(("b", "d"), (0.0,))


def test_velocity_limits_are_the_smaller_ones(robot):
    np.testing.assert_array_equal(robot.limits(2.0, 50.0).velocity_rad_s, 2.0)
    np.testing.assert_array_equal(robot.limits(9.0, 50.0).velocity_rad_s, 3.0)


def test_kind_and_topics_may_be_replaced_and_must_be_there(tmp_path):
    profile, _ = write_robot(tmp_path, DRIVER)
    changed = teleop_robot(read_profile(profile), small_urdf(), "multi_array", "/there", "/state")
    assert (changed.output.kind, changed.output.topic, changed.output.state_topic) == (
        "multi_array",
        "/there",
        "/state",
    )
    bare = tmp_path / "bare.yaml"
    bare.write_text(small_profile("x: 1").partition("command:")[0])
    with pytest.raises(ValueError, match="'bare' names no command topic"):
        teleop_robot(read_profile(bare), small_urdf())
    robot = teleop_robot(read_profile(bare), small_urdf(), topic="go")
    assert (robot.output.kind, robot.value_names) == ("trajectory", JOINTS)


def test_the_urdf_comes_from_a_file_from_xacro_or_is_generated(tmp_path, monkeypatch):
    demo, (small, urdf) = read_profile("demo_hand"), write_robot(tmp_path, DRIVER)
    assert urdf_text(demo, "") == demo_hand_urdf("right")
    assert urdf_text(read_profile(small), "") is None
    assert urdf_text(read_profile(small), str(urdf)) == small_urdf()
    with pytest.raises(FileNotFoundError):
        urdf_text(demo, str(tmp_path / "absent.urdf"))
    program = tmp_path / "xacro"
    program.write_text(
        f'#!{sys.executable}\nimport sys\nif "bad" in sys.argv[1]: sys.exit("no such macro")\nprint("<robot/>")\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert urdf_text(demo, str(tmp_path / "good.urdf.xacro")) == "<robot/>\n"
    with pytest.raises(ValueError, match="failed: no such macro"):
        urdf_text(demo, str(tmp_path / "bad.xacro"))
