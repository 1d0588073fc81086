"""The robot_simulator node stands in for a robot hand: it follows commands and publishes its joint states."""

from __future__ import annotations

import math
import time
from typing import Any, Final

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.clock import Clock, ClockType  # pyright: ignore[reportPrivateImportUsage] - defined here in Humble
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Header, String
from tf2_msgs.msg import TFMessage

from hand_pose_ros.retargeting.profile_files import read_profile
from hand_pose_ros.retargeting.teleoperation.limiter import CommandLimiter
from hand_pose_ros.retargeting.teleoperation.robot import TeleopRobot, teleop_robot, urdf_text
from hand_pose_ros.ros.messages.robot_command import COMMAND_KINDS, joint_state
from hand_pose_ros.ros.messages.transforms import link_transforms, transform
from hand_pose_ros.ros.robot_simulator.parameters import RobotSimulatorParameters
from hand_pose_ros.ros.shared.faults import FaultLog
from hand_pose_ros.ros.shared.latched import LATCHED
from hand_pose_ros.ros.shared.parameters import declare
from hand_pose_ros.ros.teleop.parameters import OF_PROFILE

_QOS: Final = QoSProfile(depth=5)
_FRAMES_QOS: Final = QoSProfile(depth=100)
_FRAMES_S: Final = 1 / 60
_LONGEST_STEP_S: Final = 0.1


class RobotSimulator(Node):
    """Follows the newest command with the limits of a real hand; its joint states are in the driver's units."""

    def __init__(self) -> None:
        super().__init__("robot_simulator")
        settings = declare(self, RobotSimulatorParameters)
        profile = read_profile(settings.robot, settings.side)
        urdf = urdf_text(profile, settings.robot_description_file)
        if urdf is None:
            raise ValueError("robot_description_file must be set: the profile's hand is not generated")
        kind = "" if settings.command_kind == OF_PROFILE else settings.command_kind
        self._robot: TeleopRobot = teleop_robot(
            profile, urdf, kind, settings.command_topic, settings.joint_states_topic
        )
        self._faults = FaultLog(self.get_logger())
        self._limiter = CommandLimiter(
            self._robot.limits(settings.velocity_rad_s, settings.acceleration_rad_s2)
        )
        self._limiter.reset(np.full(len(self._robot.joint_names), settings.start_rad))
        self._goal = self._limiter.positions_rad
        self._last_s = time.monotonic()
        output = self._robot.output
        self._kind = COMMAND_KINDS[output.kind]
        self._states = self.create_publisher(JointState, output.state_topic, _QOS)
        self.create_subscription(self._kind.message, output.topic, self._on_command, _QOS)
        self._frames = _LinkFrames(self, self._robot, settings) if settings.publish_frames else None
        if settings.publish_description:
            self.create_publisher(String, "robot_description", LATCHED).publish(String(data=urdf))
        self.create_timer(1 / settings.rate_hz, self._on_timer, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _on_command(self, message: Any) -> None:
        try:
            goal = self._robot.commanded(*self._kind.read(message))
        except ValueError as error:
            self._faults.report("command", f"a command cannot be used: {error}", DiagnosticStatus.ERROR)
            return
        self._faults.clear("command")
        self._goal = np.where(np.isfinite(goal), goal, self._goal)

    def _on_timer(self) -> None:
        now_s = time.monotonic()
        positions = self._limiter.step(self._goal, min(now_s - self._last_s, _LONGEST_STEP_S))
        self._last_s = now_s
        stamp = self.get_clock().now().to_msg()
        robot = self._robot
        self._states.publish(joint_state(robot.value_names, robot.state_values(positions), stamp, 0.0))
        if self._frames is not None:
            self._frames.publish(positions, stamp, now_s)


class _LinkFrames:
    """Publishes the links of the robot on /tf, at most at the rate of a display."""

    def __init__(self, node: Node, robot: TeleopRobot, settings: RobotSimulatorParameters) -> None:
        self._hand = robot.retargeter.robot
        self._settings = settings
        prefix = settings.frame_prefix
        links = [link for link in self._hand.link_names if link != self._hand.root_link]
        self._indices = self._hand.link_indices(links)
        self._names = [prefix + link for link in links]
        self._root = prefix + self._hand.root_link
        self._publisher = node.create_publisher(TFMessage, "/tf", _FRAMES_QOS)
        self._last_s = -math.inf

    def publish(self, positions_rad: np.ndarray, stamp: Time, now_s: float) -> None:
        """Send the frames at positions (n,), if the last are old enough."""
        if now_s - self._last_s < _FRAMES_S:
            return
        self._last_s = now_s
        poses = self._hand.link_poses(positions_rad, self._indices)
        transforms = link_transforms(self._names, poses, Header(stamp=stamp, frame_id=self._root))
        if parent := self._settings.root_parent_frame:
            header = Header(stamp=stamp, frame_id=parent)
            position, orientation = self._settings.root_position_m, self._settings.root_orientation
            transforms.append(transform(header, parent, self._root, position, orientation))
        self._publisher.publish(TFMessage(transforms=transforms))
