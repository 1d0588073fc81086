"""The robot's part of a run of the demo: its two processes, and the operator who engages them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lifecycle_msgs.msg import Transition

from hand_pose_ros.common.share import share_file
from hand_pose_ros.ros.demo.node import NAMESPACE, DemoNode
from hand_pose_ros.ros.demo.processes import DemoError, GraphProcess
from hand_pose_ros.ros.demo.robot.demo_robot import FRAME_PREFIX, DemoRobot
from hand_pose_ros.ros.demo.robot.node import TELEOP, RobotDemoNode

# A busy machine is not to be taken for a lost hand: the source is played as slowly as the machine needs.
_PATIENCE_S: Final = 2.0
_IMAGES_OF_PATIENCE: Final = 4
_LONGEST_WATCHDOG_S: Final = 5.0
_LONGEST_STATE: Final = 60


class RobotSession:
    """Controls hand_teleop and robot_simulator while the demo plays."""

    def __init__(self, robot: DemoRobot, processes: tuple[GraphProcess, ...]) -> None:
        self.robot = robot
        self._processes = processes
        self._ended = False

    def activate(self, node: RobotDemoNode, alive: Callable[[], bool]) -> None:
        """Configure and activate the hand_teleop, which stays disengaged."""
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            if not node.change_state(TELEOP, transition, alive):
                raise DemoError(f"{TELEOP} did not get ready:\n{self._processes[0].last_words()}")

    def begin(self, node: DemoNode, rate_hz: float | None, alive: Callable[[], bool]) -> None:
        """Give the watchdog the patience that the playing rate needs."""
        if rate_hz is not None:
            timeout_s = min(max(_PATIENCE_S, _IMAGES_OF_PATIENCE / rate_hz), _LONGEST_WATCHDOG_S)
            node.set_parameters_of(TELEOP, {"watchdog.timeout_s": timeout_s}, alive)

    def check(self) -> None:
        """Raise DemoError if a process has ended by itself."""
        for process in () if self._ended else self._processes:
            if process.exit_code is not None:
                raise DemoError(f"{process.name} stopped by itself:\n{process.last_words()}")

    @staticmethod
    def progress_text(node: RobotDemoNode) -> str:
        """The state of the hand_teleop, and why engaging was refused."""
        state = f"robot {node.teleop_state}" if node.teleop_state else ""
        if node.refused and node.teleop_state.startswith("disengaged"):
            state = f"robot not engaged: {node.refused}"
        return state if len(state) <= _LONGEST_STATE else f"{state[:_LONGEST_STATE]}..."

    def end(self) -> None:
        """End the processes in order: the hand_teleop first, whose last command is a hold.

        Raises:
            DemoError: one of them did not end well.
        """
        self._ended = True
        for process in self._processes:
            if process.end() != 0:
                raise DemoError(f"{process.name} did not end well:\n{process.last_words()}")


@contextmanager
def robot_graph(robot: DemoRobot | None, folder: Path) -> Iterator[RobotSession | None]:
    """Run hand_teleop and robot_simulator as processes; end them afterwards. None without a robot."""
    if robot is None:
        yield None
        return
    processes: list[GraphProcess] = []
    shared = robot.parameters()
    teleop = shared | {
        "hand.side": robot.side,
        "robot_frame_prefix": FRAME_PREFIX,
        "hand.max_age_s": _PATIENCE_S,
        "watchdog.timeout_s": _PATIENCE_S,
        "robot_state.timeout_s": _PATIENCE_S,
    }
    simulator = shared | {
        "side": robot.side,
        "publish_description": True,
        "publish_frames": True,
        "frame_prefix": FRAME_PREFIX,
    }
    module = "hand_pose_ros.ros.{}.process".format
    try:
        for name, parameters, file in (
            (TELEOP, teleop, share_file("config/teleop.yaml")),
            ("robot_simulator", simulator, None),
        ):
            log = folder / f"{name}.log"
            room = {TELEOP: "teleop"}.get(name, name)
            processes.append(GraphProcess(module(room), NAMESPACE, log, parameters, file))
        yield RobotSession(robot, tuple(processes))
    finally:
        for process in processes:
            process.end()
