"""The robot's part of a recording, read without ROS 2: commands, joint states, states of the hand_teleop."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from hand_pose_ros.retargeting.teleoperation.robot import TeleopRobot
from hand_pose_ros.ros.demo.robot.demo_robot import DemoRobot

_TYPES = get_typestore(Stores.ROS2_JAZZY)


@dataclass(frozen=True)
class RobotTopics:
    """Full names of the topics that are read."""

    commands: str
    joint_states: str
    teleop_state: str
    hands: str
    overlay: str


@dataclass(frozen=True, eq=False)
class RobotRecording:
    """Commands and states of a robot during a recording. Times are nanoseconds of the system's clock.

    command_ns: (c,) when each command was received. commands_rad: (c, n) positions of the independent joints.
    state_ns: (s,) stamps of the joint states. states_rad: (s, n). teleop: (time, 'state: reason') of each change.
    hands_ns, shown_ns: stamp of an image -> when its hands and its overlay were received.
    """

    command_ns: np.ndarray
    commands_rad: np.ndarray
    state_ns: np.ndarray
    states_rad: np.ndarray
    teleop: Sequence[tuple[int, str]]
    hands_ns: Mapping[int, int]
    shown_ns: Mapping[int, int]

    def positions_at(self, time_ns: int) -> np.ndarray | None:
        """The newest joint state (n,) at a time; None before the first."""
        index = int(np.searchsorted(self.state_ns, time_ns, side="right")) - 1
        return self.states_rad[index] if index >= 0 else None

    def teleop_state_at(self, time_ns: int) -> str:
        """The state of the hand_teleop at a time, without its reason; '' before the first."""
        index = bisect.bisect_right([at for at, _ in self.teleop], time_ns) - 1
        return self.teleop[index][1].partition(":")[0] if index >= 0 else ""


def read_robot_recording(folder: Path, robot: DemoRobot, topics: RobotTopics) -> RobotRecording:
    """Read the bag in ``folder``; messages that are not of this robot are left out."""
    read = _CommandReader(robot.robot)
    commands: list[tuple[int, np.ndarray]] = []
    states: list[tuple[int, np.ndarray]] = []
    teleop: list[tuple[int, str]] = []
    hands: dict[int, int] = {}
    shown: dict[int, int] = {}
    wanted = astuple(topics)
    with Reader(folder) as reader:
        connections = [connection for connection in reader.connections if connection.topic in wanted]
        for connection, time_ns, raw in reader.messages(connections) if connections else ():
            message: Any = _TYPES.deserialize_cdr(raw, connection.msgtype)
            if connection.topic == topics.commands:
                commands.append((time_ns, read.command(message)))
            elif connection.topic == topics.joint_states:
                joints = robot.robot.positions(list(message.name), message.position.tolist())
                states.append((_stamp_ns(message), robot.positions(joints)))
            elif connection.topic == topics.teleop_state:
                teleop.append((time_ns, message.data))
            else:
                received = hands if connection.topic == topics.hands else shown
                received[_stamp_ns(message)] = time_ns
    states.sort(key=lambda item: item[0])
    joints = len(robot.robot.joint_names)
    return RobotRecording(*_columns(commands, joints), *_columns(states, joints), teleop, hands, shown)


class _CommandReader:
    """Reads the commands of a robot from deserialised messages of any library."""

    def __init__(self, robot: TeleopRobot) -> None:
        self._robot = robot

    def command(self, message: Any) -> np.ndarray:
        """Positions (n,) that a message commands."""
        kind = self._robot.output.kind
        if kind == "trajectory":
            return self._robot.commanded(list(message.joint_names), message.points[-1].positions.tolist())
        if kind == "joint_state":
            return self._robot.commanded(list(message.name), message.position.tolist())
        return self._robot.commanded([], message.data.tolist())


def _columns(rows: list[tuple[int, np.ndarray]], joints: int) -> tuple[np.ndarray, np.ndarray]:
    times = np.array([time_ns for time_ns, _ in rows], dtype=np.int64)
    return times, np.array([values for _, values in rows], dtype=np.float64).reshape(-1, joints)


def _stamp_ns(message: Any) -> int:
    stamp = message.header.stamp
    return stamp.sec * 1_000_000_000 + stamp.nanosec
