"""The topics of the robot_simulator node, for its ``--help``."""

from __future__ import annotations

from typing import Final

from hand_pose_ros.ros.shared.interface import Endpoint, NodeInterface

INTERFACE: Final = NodeInterface(
    name="robot_simulator",
    summary="Stands in for a robot hand: it follows commands within limits and publishes its joint states.",
    parameters="hand_pose_ros.ros.robot_simulator.parameters:RobotSimulatorParameters",
    subscribed=(
        Endpoint(
            "(the profile's)", "trajectory_msgs/JointTrajectory", "commands, or another kind by profile"
        ),
    ),
    published=(
        Endpoint("/joint_states", "sensor_msgs/JointState", "the robot's joints, or the profile's topic"),
        Endpoint("robot_description", "std_msgs/String", "the URDF, latched, on request"),
        Endpoint("/tf", "tf2_msgs/TFMessage", "links in the frame of the root link, on request"),
    ),
    page="docs/use/teleoperation.md",
)
