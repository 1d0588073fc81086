"""The teleop output publishes commands, the state, and OpenXR's joints."""

from __future__ import annotations

import time
from typing import Final

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseArray
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile
from std_msgs.msg import Header, String

from hand_pose_ros import hand
from hand_pose_ros.retargeting.teleoperation.engagement import State
from hand_pose_ros.retargeting.teleoperation.robot import TeleopRobot
from hand_pose_ros.ros.messages.isaac_teleop import TOPIC, named_hands, named_pose_array_type
from hand_pose_ros.ros.messages.observed_hands import bone_rotations, stamp_s
from hand_pose_ros.ros.messages.openxr import openxr_names, openxr_poses
from hand_pose_ros.ros.messages.robot_command import COMMAND_KINDS
from hand_pose_ros.ros.shared.faults import FaultLog
from hand_pose_ros.ros.shared.latched import LATCHED
from hand_pose_ros.ros.teleop.command_topic import CommandTopic

_COMMAND_QOS: Final = QoSProfile(depth=5)
_SHORTEST_S: Final = 0.001
"""A controller refuses a trajectory that takes no time."""
_SAME_TIME_S: Final = 0.1
LAST_COMMAND_S: Final = 1.0
"""Longest time to wait until the last command has arrived."""


class CommandPublisher:
    """Publishes the commands of one robot, in its driver's message, order and units."""

    def __init__(
        self, node: LifecycleNode, robot: TeleopRobot, time_from_start_s: float, period_s: float
    ) -> None:
        """Advertise the topic.

        Args:
            time_from_start_s: of a trajectory's point; 0 for the time since the command before.
            period_s: longest such time.
        """
        self._node = node
        self._period_s = period_s
        self._last_s = 0.0
        self._robot = robot
        self._kind = COMMAND_KINDS[robot.output.kind]
        self._names = robot.value_names
        self._time_from_start_s = time_from_start_s
        self._publisher = node.create_publisher(self._kind.message, robot.output.topic, _COMMAND_QOS)
        self.topic = CommandTopic(node, self._publisher)
        self.count = 0

    def publish(self, positions_rad: np.ndarray) -> None:
        """Send positions (n,)."""
        stamp = self._node.get_clock().now().to_msg()
        values = self._robot.command_values(positions_rad)
        now_s = time.monotonic()
        passed_s, self._last_s = now_s - self._last_s, now_s
        duration_s = self._time_from_start_s or min(max(passed_s, _SHORTEST_S), self._period_s)
        self._publisher.publish(self._kind.build(self._names, values, stamp, duration_s))
        self.count += 1

    def flush(self) -> None:
        """Wait until the last command has arrived, for a process that is about to end."""
        self._publisher.wait_for_all_acked(Duration(seconds=LAST_COMMAND_S))

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_publisher(self._publisher)


class StatePublisher:
    """Publishes state and reason on the latched topic ``~/state``: ``holding: no hand in view``."""

    def __init__(self, node: LifecycleNode) -> None:
        self._publisher = node.create_publisher(String, "~/state", LATCHED)

    def publish(self, state: State, reason: str) -> None:
        """Send the state."""
        self._publisher.publish(String(data=f"{state.value}: {reason}"))


class OpenXrPublishers:
    """Publishes ``{side}/openxr_joints`` and the latched ``openxr_joint_names``.

    Where IsaacTeleop's messages are installed, also its topic of both hands.
    """

    def __init__(self, node: LifecycleNode, faults: FaultLog) -> None:
        self._node = node
        self._faults = faults
        self._joints = {
            side: node.create_publisher(PoseArray, f"{side}/openxr_joints", _COMMAND_QOS)
            for side in hand.SIDES
        }
        self._names = node.create_publisher(String, "openxr_joint_names", LATCHED)
        self._names.publish(openxr_names())
        self._isaac_type = named_pose_array_type()
        self._isaac = self._isaac_type and node.create_publisher(self._isaac_type, TOPIC, _COMMAND_QOS)
        self._newest: dict[str, PoseArray] = {}

    def publish(self, message: PoseArray, side: str) -> None:
        """Convert the poses of ``{side}/joints``; a malformed message is reported."""
        joints = np.array([[p.position.x, p.position.y, p.position.z] for p in message.poses])
        try:
            converted = openxr_poses(joints, bone_rotations(message), message.header)
        except ValueError as error:
            self._faults.report(
                "openxr", f"a message on {side}/joints gives no OpenXR hand: {error}", DiagnosticStatus.ERROR
            )
            return
        self._faults.clear("openxr")
        self._joints[side].publish(converted)
        if self._isaac is not None and self._isaac_type is not None:
            self._newest[side] = converted
            self._isaac.publish(named_hands(self._isaac_type, self._in_view(message.header), message.header))

    def _in_view(self, header: Header) -> dict[str, PoseArray]:
        """The hands of about the same time."""
        now_s = stamp_s(header.stamp) or 0.0
        return {
            side: poses
            for side, poses in self._newest.items()
            if abs((stamp_s(poses.header.stamp) or 0.0) - now_s) <= _SAME_TIME_S
        }

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in filter(None, (*self._joints.values(), self._names, self._isaac)):
            self._node.destroy_publisher(publisher)
