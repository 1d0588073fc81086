"""Robots of every kind on the live node: what a URDF may lack, and each kind of command."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.ros_harness import RELIABLE, wait_for
from helpers.small_robots import JOINTS, small_urdf, write_robot
from helpers.teleop_harness import LATCHED, NAMESPACE, pose_of
from lifecycle_msgs.msg import Transition
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String

from hand_pose_ros.retargeting.profile_files import read_profile
from hand_pose_ros.retargeting.teleoperation.robot import teleop_robot

TRAJECTORY = """
topic: small/commands
kind: trajectory
state_topic: small/joint_states
"""
BY_ORDER = """
topic: small/commands
kind: joint_state
by_order: true
state_by_order: true
units: deg
state_units: deg
state_topic: small/joint_states
joints:
  - {joint: index_end, sign: -1}
  - {joint: index_base, offset_rad: 3.14159265}
  - {joint: thumb_end, factor: 2}
  - {joint: thumb_base}
"""
ARRAY = TRAJECTORY.replace("trajectory", "multi_array")


@pytest.fixture
def make_small(make, tmp_path):
    """Start a node that drives the small robot of a profile and a URDF, with a simulated one."""

    def start(command: str = TRAJECTORY, **replaced: str):
        profile, urdf = write_robot(tmp_path, command, **replaced)
        files = {"robot": str(profile), "robot_description_file": str(urdf)}
        robot = teleop_robot(read_profile(profile), urdf.read_text())
        return make(files, {}, robot=robot)

    return start


def drive(teleop, hands) -> np.ndarray:
    """Engage, close and open the hand; the largest motion (n,) of each joint."""
    teleop.engage()
    for gesture in ("fist", "open"):
        hands.poses = [pose_of(gesture)]
        count = len(teleop.commands)
        teleop.commands.wait_for(count + 30)
    return np.ptp(teleop.positions(), axis=0)


@pytest.mark.parametrize(
    "command", [TRAJECTORY, BY_ORDER, ARRAY], ids=["trajectory", "joint_state", "multi_array"]
)
def test_every_kind_of_command_moves_the_robot(make_small, hands, listener, command):
    states = listener.subscribe(JointState, f"/{NAMESPACE}/small/joint_states", RELIABLE)
    teleop = make_small(command)
    assert drive(teleop, hands).max() > 0.3
    commanded = teleop.read(teleop.commands.messages[-1])[1]
    wait_for(
        lambda: np.allclose(
            states.messages[-1].position, teleop.read(teleop.commands.messages[-1])[1], atol=0.2
        ),
        "the robot to follow",
    )
    if command == BY_ORDER:
        assert 150 < commanded[1] < 270, "degrees, with the offset"
    if command == ARRAY:
        assert isinstance(teleop.commands.messages[-1], Float64MultiArray)


def test_mimic_joints_are_not_commanded_and_keep_their_limits(make_small, hands):
    mimic = (
        'type="revolute"><axis xyz="0 1 0"/><limit lower="0" upper="0.6" effort="1" velocity="2"/>'
        '<mimic joint="index_base" multiplier="1.5"/>'
    )
    teleop = make_small(index_end=mimic)
    assert teleop.robot.value_names == ("thumb_base", "thumb_end", "index_base")
    drive(teleop, hands)
    assert teleop.positions()[:, 2].max() <= 0.4 + 1e-9
    assert teleop.positions()[:, 2].min() >= -1e-9


def test_a_continuous_joint_and_a_missing_velocity_limit_have_defaults(make_small, hands):
    teleop = make_small(
        index_end='type="continuous"><axis xyz="0 1 0"/>',
        thumb_end='type="revolute"><axis xyz="0 1 0"/><limit lower="-0.2" upper="1.5"/>',
    )
    drive(teleop, hands)
    assert np.isfinite(teleop.robot.limits(4.0, 40.0).velocity_rad_s).all()


def test_a_joint_without_limits_keeps_the_node_unconfigured(make, tmp_path):
    profile, urdf = write_robot(tmp_path, TRAJECTORY, index_end='type="revolute"><axis xyz="0 1 0"/>')
    teleop = make({"robot": str(profile), "robot_description_file": str(urdf)}, None, activate=False)
    wait_for(
        lambda: (s := teleop.status("robot")) and "joint 'index_end' of the URDF has no limits" in s.message,
        "the diagnosis",
    )
    assert teleop.call("engage").message == "the node is unconfigured"


def test_joints_that_the_urdf_does_not_have_are_named(make, tmp_path):
    command = TRAJECTORY + "joints: [{joint: index_base}, {joint: elbow}]\n"
    profile, urdf = write_robot(tmp_path, command)
    teleop = make({"robot": str(profile), "robot_description_file": str(urdf)}, None, activate=False)
    wait_for(
        lambda: (s := teleop.status("robot")) and "the command names elbow" in s.message, "the diagnosis"
    )


def test_commands_too_rare_for_the_driver_are_refused(make, tmp_path):
    profile, urdf = write_robot(tmp_path, TRAJECTORY + "longest_silence_s: 0.3\n")
    changes = {
        "robot": str(profile),
        "robot_description_file": str(urdf),
        "motion.output_rate_hz": 2.0,
    }
    teleop = make(changes, None, activate=False)
    wait_for(
        lambda: (s := teleop.status("robot")) and "output_rate_hz must be at least 3.33" in s.message,
        "the diagnosis",
    )
    assert teleop.call("engage").message == "the node is unconfigured"


def test_a_description_that_cannot_be_driven_does_not_end_the_node(make, listener, tmp_path, monkeypatch):
    profile, _ = write_robot(tmp_path, TRAJECTORY)
    teleop = make({"robot": str(profile)}, None)

    def fails(*_: object) -> None:
        raise RuntimeError("no input")

    descriptions = listener.publisher(String, f"/{NAMESPACE}/robot_description", LATCHED)
    with monkeypatch.context() as patched:
        patched.setattr("hand_pose_ros.ros.teleop.driver.HandInput", fails)
        descriptions.publish(String(data=small_urdf()))
        wait_for(lambda: (s := teleop.status("robot")) and "no input" in s.message, "the diagnosis")
    assert teleop.call("engage").message == "the robot's description is not known"
    descriptions.publish(String(data=small_urdf()))
    wait_for(lambda: "hand yet" in teleop.call("engage").message, "the robot")


def test_another_robot_waits_for_no_description(make, tmp_path):
    profile, urdf = write_robot(tmp_path, TRAJECTORY)
    teleop = make({"robot": str(profile)}, None, activate=False)
    wait_for(lambda: (s := teleop.status("robot")) and "waiting for" in s.message, "the diagnosis")
    teleop.node.trigger_cleanup()
    teleop.node.set_parameters([Parameter("robot_description_file", value=str(urdf))])
    teleop.node.trigger_configure()
    wait_for(lambda: teleop.status("robot").message == "not monitored: the node is inactive", "no diagnosis")


def test_the_description_may_come_late_and_wrong_at_first(make, hands, listener, tmp_path):
    profile, _ = write_robot(tmp_path, TRAJECTORY)
    teleop = make({"robot": str(profile)}, None)
    topic = f"/{NAMESPACE}/robot_description"
    wait_for(
        lambda: (s := teleop.status("robot")) and f"waiting for the robot's URDF on {topic}" in s.message,
        "the diagnosis",
    )
    assert teleop.call("engage").message == "the robot's description is not known"
    assert (teleop.state, teleop.reason) == ("disengaged", "the robot's description is not known")
    teleop.change_state(Transition.TRANSITION_DEACTIVATE)
    teleop.change_state(Transition.TRANSITION_ACTIVATE)
    wait_for(lambda: "waiting for" in teleop.status("robot").message, "the diagnosis again")
    descriptions = listener.publisher(String, topic, LATCHED)
    descriptions.publish(String(data="<robot"))
    wait_for(lambda: "is not XML" in teleop.status("robot").message, "the diagnosis")
    descriptions.publish(String(data=small_urdf()))
    wait_for(lambda: "joint state is not known" in teleop.call("engage").message, "the robot")
    states = listener.publisher(JointState, f"/{NAMESPACE}/small/joint_states")
    commands = f"/{NAMESPACE}/small/commands"
    assert listener.node.resolve_topic_name(commands) == commands

    def refused_for_want_of_a_listener() -> bool:
        states.publish(JointState(name=list(JOINTS), position=[0.0] * 4))
        return f"nobody listens on {commands}" in teleop.call("engage").message

    wait_for(refused_for_want_of_a_listener, "the joint state to be known")
