"""The topics and services of the hand_teleop node, for its ``--help``; tests compare the node with them."""

from __future__ import annotations

from typing import Final

from hand_pose_ros.ros.shared.interface import Endpoint, NodeInterface

INTERFACE: Final = NodeInterface(
    name="hand_teleop",
    summary="Moves a robot hand after a human hand, safely. A lifecycle node that starts disengaged; "
    "`ros2 launch hand_pose_ros teleop.launch.py` starts it with the estimator.",
    parameters="hand_pose_ros.ros.teleop.parameters:TeleopParameters",
    subscribed=(
        Endpoint("hands", "sensor_msgs/PointCloud2", "all hands, with uncertainty and track ids"),
        Endpoint("{left,right}/joints", "geometry_msgs/PoseArray", "with input:=joints, and for OpenXR"),
        Endpoint(
            "{left,right}/wrist", "geometry_msgs/PoseWithCovarianceStamped", "wrist of the hand to follow"
        ),
        Endpoint("/joint_states", "sensor_msgs/JointState", "the robot's, or the profile's topic"),
        Endpoint("robot_description", "std_msgs/String", "the robot's URDF, latched"),
        Endpoint("dead_man", "std_msgs/Bool", "a switch that must repeat its level"),
        Endpoint("e_stop", "std_msgs/Bool", "emergency stop"),
        Endpoint("clutch", "std_msgs/Bool", "freeze the wrist target"),
    ),
    published=(
        Endpoint(
            "(the profile's)", "trajectory_msgs/JointTrajectory", "commands, or another kind by profile"
        ),
        Endpoint("wrist_target", "geometry_msgs/PoseStamped", "target of the arm, with wrist.enabled"),
        Endpoint("wrist_twist", "geometry_msgs/TwistStamped", "its velocity"),
        Endpoint("{left,right}/openxr_joints", "geometry_msgs/PoseArray", "26 joints, with openxr"),
        Endpoint("openxr_joint_names", "std_msgs/String", "their names, latched"),
        Endpoint(
            "frame_checker",
            "visualization_msgs/MarkerArray",
            "human and robot vectors and their distance; only while subscribed",
        ),
        Endpoint("~/state", "std_msgs/String", "state and reason, latched"),
        Endpoint(
            "/diagnostics", "diagnostic_msgs/DiagnosticArray", "engagement, robot, retargeting, latency"
        ),
    ),
    services=(
        Endpoint("~/engage", "std_srvs/Trigger", "start to follow; the answer says why not"),
        Endpoint("~/disengage", "std_srvs/Trigger", "brake and stop following"),
        Endpoint("~/e_stop", "std_srvs/Trigger", "emergency stop"),
        Endpoint("~/reset", "std_srvs/Trigger", "take back an emergency stop or a latch"),
        Endpoint("~/clutch", "std_srvs/SetBool", "freeze the wrist target, or follow again"),
    ),
    parameter_file="config/teleop.yaml",
    page="docs/use/teleoperation.md",
)
