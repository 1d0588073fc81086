"""The simulated robot follows commands within its limits, refuses what it does not understand, and says so."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Time
from helpers.ros_harness import Listener, wait_for
from helpers.teleop_harness import COMMANDS, LATCHED, NAMESPACE, STATES, demo_robot
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage
from trajectory_msgs.msg import JointTrajectory

from hand_pose_ros.ros.messages.robot_command import joint_trajectory

MODULE = "hand_pose_ros.ros.robot_simulator.process"
RATE_HZ = 100.0


def test_it_follows_within_its_limits_and_survives_what_it_cannot_use(start_node, listener: Listener):
    process = start_node(
        MODULE,
        namespace=NAMESPACE,
        parameters={
            "publish_description": True,
            "publish_frames": True,
            "frame_prefix": "robot/",
            "root_parent_frame": "table",
            "root_position_m": [0.1, 0.2, 0.3],
            "root_orientation": [0.0, 0.0, 1.0, 0.0],
            "start_rad": 0.1,
            "velocity_rad_s": 2.0,
            "rate_hz": RATE_HZ,
        },
    )
    transforms = listener.subscribe(TFMessage, "/tf")
    states = listener.subscribe(JointState, STATES)
    description = listener.subscribe(String, f"/{NAMESPACE}/robot_description", LATCHED)
    assert description.wait_for(1)[0].data.startswith("<?xml")
    robot = demo_robot()
    limits, names = robot.limits(2.0, 100.0), list(robot.value_names)
    start = np.array(states.wait_for(3)[0].position)
    np.testing.assert_array_equal(start, limits.clamped(np.full(16, 0.1)))
    assert list(states.messages[0].name) == names

    commands = listener.publisher(JointTrajectory, COMMANDS)
    goal = np.full(16, 9.0)

    def reached() -> bool:
        commands.publish(joint_trajectory(names, goal, Time(), 0.1))
        return np.allclose(states.messages[-1].position, limits.upper_rad, atol=1e-3)

    wait_for(reached, "the upper limits")
    commands.publish(joint_trajectory([*names[:-1], "elbow"], np.zeros(16), Time(), 0.1))
    process.wait_for_log("it names elbow, which are no joints of this robot")
    commands.publish(JointTrajectory(joint_names=names))
    commands.publish(joint_trajectory(names, np.full(16, np.nan), Time(), 0.1))
    count = len(states)
    states.wait_for(count + 20)
    assert_frames(transforms.messages[-1], limits.upper_rad)
    np.testing.assert_allclose(states.messages[-1].position, limits.upper_rad, atol=1e-3)
    partial = joint_trajectory(names[:1], limits.lower_rad[:1], Time(), 0.1)
    commands.publish(partial)
    wait_for(lambda: abs(states.messages[-1].position[0] - limits.lower_rad[0]) < 1e-3, "one joint to move")
    assert process.interrupt() == 0
    positions = np.array([message.position for message in states.messages])
    stamps = np.array([m.header.stamp.sec + 1e-9 * m.header.stamp.nanosec for m in states.messages])
    assert (positions >= limits.lower_rad).all()
    assert (positions <= limits.upper_rad).all()
    # The time between two steps is that of the steady clock, the stamps are the system's: a little apart.
    speeds = np.abs(np.diff(positions, axis=0)).sum(axis=0) / (stamps[-1] - stamps[0])
    assert (speeds <= 2.0).all()
    assert "Traceback" not in process.log


def assert_frames(message: TFMessage, positions_rad: np.ndarray) -> None:
    """Every link of the demonstration hand is where its kinematics have it."""
    robot = demo_robot().retargeter.robot
    frames = {transform.child_frame_id: transform for transform in message.transforms}
    assert set(frames) == {f"robot/{link}" for link in robot.link_names}
    root = frames["robot/right_demo_base"]
    assert root.header.frame_id == "table"
    placed = root.transform.translation, root.transform.rotation
    assert [(v.x, v.y, v.z) for v in placed] == [(0.1, 0.2, 0.3), (0.0, 0.0, 1.0)]
    links = robot.link_indices(robot.link_names)
    for link, position in zip(robot.link_names, robot.link_positions(positions_rad, links), strict=True):
        if link == robot.root_link:
            continue
        transform = frames[f"robot/{link}"]
        assert transform.header.frame_id == "robot/right_demo_base"
        found = transform.transform.translation
        np.testing.assert_allclose((found.x, found.y, found.z), position, atol=2e-4)


def test_without_a_description_it_says_what_is_missing(start_node, tmp_path):
    profile = tmp_path / "robot.yaml"
    profile.write_text(
        "objective: vector\nvectors: [{task: tip, human_task: index_tip}]\n"
        "command: {topic: go, kind: trajectory}\n"
    )
    process = start_node(MODULE, parameters={"robot": str(profile)})
    assert process.wait() == 1
    assert "robot_description_file must be set" in process.log
