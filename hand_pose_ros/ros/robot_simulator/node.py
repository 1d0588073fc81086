"""The robot_simulator node stands in for a robot hand: it follows commands and publishes its joint states."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.clock import Clock, ClockType  # pyright: ignore[reportPrivateImportUsage] - defined here in Humble
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from hand_pose_ros import hand
from hand_pose_ros.common.options import Options, option
from hand_pose_ros.retargeting.command_output import KINDS
from hand_pose_ros.retargeting.profile_files import read_profile
from hand_pose_ros.retargeting.teleoperation.limiter import CommandLimiter
from hand_pose_ros.retargeting.teleoperation.robot import TeleopRobot, teleop_robot, urdf_text
from hand_pose_ros.ros.messages.robot_command import COMMAND_KINDS, joint_state
from hand_pose_ros.ros.shared.faults import FaultLog
from hand_pose_ros.ros.shared.parameters import declare
from hand_pose_ros.ros.shared.process import run_node
from hand_pose_ros.ros.teleop.output import LATCHED
from hand_pose_ros.ros.teleop.parameters import OF_PROFILE

_QOS: Final = QoSProfile(depth=5)
_LONGEST_STEP_S: Final = 0.1


@dataclass(frozen=True)
class RobotSimulatorParameters(Options):
    """The parameters, described by their fields."""

    robot: str = option(
        "demo_hand", "Robot hand: a name of config/robots, or the path of a profile.", read_only=True
    )
    side: str = option("right", "Side of the robot hand.", choices=hand.SIDES, read_only=True)
    robot_description_file: str = option(
        "", "The robot's URDF, or a xacro file; empty if the profile's hand is generated.", read_only=True
    )
    command_kind: str = option(
        OF_PROFILE,
        "Message of the commands, as the hand_teleop's `command.kind`.",
        choices=(OF_PROFILE, *KINDS),
        read_only=True,
    )
    command_topic: str = option("", "Topic of the commands; empty for the profile's.", read_only=True)
    joint_states_topic: str = option(
        "", "Topic of the joint states; empty for the profile's, or joint_states.", read_only=True
    )
    rate_hz: float = option(100.0, "Joint states per second.", minimum=1.0, maximum=1000.0, read_only=True)
    velocity_rad_s: float = option(
        6.0,
        "Largest velocity of a joint in rad/s, beside the URDF's.",
        minimum=0.01,
        maximum=100.0,
        read_only=True,
    )
    acceleration_rad_s2: float = option(
        100.0,
        "Largest acceleration of a joint in rad/s^2.",
        minimum=0.1,
        maximum=10000.0,
        read_only=True,
    )
    start_rad: float = option(
        0.0, "Position of every joint at the start, moved into its limits, in rad.", read_only=True
    )
    publish_description: bool = option(
        False, "Publish the URDF on the latched topic robot_description.", read_only=True
    )


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
        self._states = self.create_publisher(JointState, output.state_topic or "joint_states", _QOS)
        self.create_subscription(self._kind.message, output.topic, self._on_command, _QOS)
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


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of the process."""
    return run_node(RobotSimulator, args=args, parameters=RobotSimulatorParameters)


if __name__ == "__main__":
    sys.exit(main())
