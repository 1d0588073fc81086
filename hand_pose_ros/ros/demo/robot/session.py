"""The robot's part of a run of the demo: its two processes, and the operator who engages them.

A machine that is slower than the source plays it in slow motion. The robot's limits are slowed by the same
factor, so that the video, at its own rate, shows what the robot does in front of a camera.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from lifecycle_msgs.msg import Transition

from hand_pose_ros.common.share import share_file
from hand_pose_ros.retargeting.teleoperation.motion import MotionOptions
from hand_pose_ros.ros.demo.node import NAMESPACE, DemoNode
from hand_pose_ros.ros.demo.processes import DemoError, GraphProcess
from hand_pose_ros.ros.demo.robot.demo_robot import FRAME_PREFIX, DemoRobot
from hand_pose_ros.ros.demo.robot.node import TELEOP, RobotDemoNode
from hand_pose_ros.ros.robot_simulator.parameters import RobotSimulatorParameters

# A busy machine is not to be taken for a lost hand.
_PATIENCE_S: Final = 2.0
_IMAGES_OF_PATIENCE: Final = 4
_LONGEST_WATCHDOG_S: Final = 5.0
_SLOWEST_RAD_S, _SLOWEST_RAD_S2 = 0.01, 0.1  # of the nodes' parameters
_LONGEST_STATE: Final = 60


class RobotSession:
    """Starts and controls hand_teleop and robot_simulator while the demo plays.

    slow_motion: rate of the playing over that of the source, at most 1.
    """

    def __init__(self, robot: DemoRobot, folder: Path) -> None:
        self.robot = robot
        self.slow_motion = 1.0
        self._folder = folder
        self._processes: list[GraphProcess] = []
        self._ended = False

    def start(
        self,
        node: DemoNode,
        rate_hz: float | None,
        source_rate_hz: float | None,
        alive: Callable[[], bool],
    ) -> None:
        """Start the processes; the hand_teleop gets active, and stays disengaged.

        Args:
            rate_hz, source_rate_hz: of the playing and of the source; None for a live source.
        """
        timeout_s = _PATIENCE_S
        if rate_hz is not None and source_rate_hz is not None:
            self.slow_motion = min(1.0, rate_hz / source_rate_hz)
            timeout_s = min(max(_PATIENCE_S, _IMAGES_OF_PATIENCE / rate_hz), _LONGEST_WATCHDOG_S)
        for name, room, parameters, file in (
            (TELEOP, "teleop", self._teleop_parameters(timeout_s), share_file("config/teleop.yaml")),
            ("robot_simulator", "robot_simulator", self._simulator_parameters(), None),
        ):
            module, log = f"hand_pose_ros.ros.{room}.process", self._folder / f"{name}.log"
            self._processes.append(GraphProcess(module, NAMESPACE, log, parameters, file))
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            if not node.change_state(TELEOP, transition, alive):
                raise DemoError(f"{TELEOP} did not get ready:\n{self._processes[0].last_words()}")

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

    def kill(self) -> None:
        """End what still runs."""
        self._ended = True
        for process in self._processes:
            process.end()

    def _teleop_parameters(self, timeout_s: float) -> dict[str, Any]:
        acceleration = MotionOptions().max_acceleration_rad_s2 * self.slow_motion**2
        return self.robot.parameters() | {
            "hand.side": self.robot.side,
            "robot_frame_prefix": FRAME_PREFIX,
            "hand.max_age_s": _PATIENCE_S,
            "watchdog.timeout_s": timeout_s,
            "robot_state.timeout_s": _PATIENCE_S,
            "motion.max_velocity_rad_s": max(
                self.robot.max_velocity_rad_s * self.slow_motion, _SLOWEST_RAD_S
            ),
            "motion.max_acceleration_rad_s2": max(acceleration, _SLOWEST_RAD_S2),
        }

    def _simulator_parameters(self) -> dict[str, Any]:
        own = RobotSimulatorParameters()
        return self.robot.parameters() | {
            "side": self.robot.side,
            "publish_description": True,
            "publish_frames": True,
            "frame_prefix": FRAME_PREFIX,
            "velocity_rad_s": max(own.velocity_rad_s * self.slow_motion, _SLOWEST_RAD_S),
            "acceleration_rad_s2": max(own.acceleration_rad_s2 * self.slow_motion**2, _SLOWEST_RAD_S2),
        }


@contextmanager
def robot_graph(robot: DemoRobot | None, folder: Path) -> Iterator[RobotSession | None]:
    """Make the robot's part of a run, and end its processes afterwards. None without a robot."""
    if robot is None:
        yield None
        return
    session = RobotSession(robot, folder)
    try:
        yield session
    finally:
        session.kill()
