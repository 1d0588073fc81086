"""The demo's robot: what it reads from names and files, and which link follows which fingertip."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.small_robots import write_robot

pytest.importorskip("rclpy", reason="needs ROS 2, by a sourced installation or `make test`")

from hand_pose_ros.ros.demo.robot.demo_robot import read_demo_robot

COMMAND = """
topic: /small/commands
kind: multi_array
"""


def test_the_demonstration_hand_needs_no_file():
    robot = read_demo_robot("demo_hand", "", "left")
    assert robot.parameters() == {"robot": "demo_hand", "robot_description_file": ""}
    assert robot.command_topic == "left_demo_controller/joint_trajectory"
    assert robot.state_topic == "left_demo/joint_states"
    assert robot.base_frame == "robot/left_demo_base"
    assert robot.fingertips() == {
        f"{finger}_tip": f"left_demo_{finger}_tip" for finger in ("thumb", "index", "middle", "ring")
    }


def test_a_profile_and_a_urdf_of_one_s_own(tmp_path, monkeypatch):
    profile, urdf = write_robot(tmp_path, COMMAND)
    monkeypatch.chdir(tmp_path)
    robot = read_demo_robot(profile.name, urdf.name, "right")
    assert robot.parameters() == {"robot": str(profile), "robot_description_file": str(urdf)}
    assert robot.state_topic == "/joint_states"
    assert robot.fingertips() == {"thumb_tip": "thumb_tip_link", "index_tip": "index_tip_link"}
    assert robot.image(64).draw(robot.positions({})).shape == (64, 64, 3)


def test_joints_that_are_not_reported_are_at_zero_or_at_their_nearest_limit(tmp_path):
    profile, urdf = write_robot(
        tmp_path,
        COMMAND,
        index_end='type="revolute"><axis xyz="0 1 0"/><limit lower="0.2" upper="1" velocity="1" effort="1"/>',
    )
    robot = read_demo_robot(str(profile), str(urdf), "right")
    np.testing.assert_array_equal(robot.positions({"thumb_base": 0.5}), (0.5, 0.0, 0.0, 0.2))


@pytest.mark.parametrize(
    ("spec", "reason"),
    [("leap", "needs its URDF: ROBOT_URDF=file"), ("elbow", "there is no robot 'elbow'")],
)
def test_what_cannot_be_used_is_named(spec, reason):
    with pytest.raises(ValueError, match=reason):
        read_demo_robot(spec, "", "right")
