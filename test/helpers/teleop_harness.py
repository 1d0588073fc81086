"""A hand_teleop in this process, with a simulated robot and a stream of hands, on real DDS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Header, String
from std_srvs.srv import Trigger

from hand_pose_ros import hand
from hand_pose_ros.pose import HandPose
from hand_pose_ros.retargeting.demo_hand import demo_hand_urdf
from hand_pose_ros.retargeting.profile_files import read_profile
from hand_pose_ros.retargeting.teleoperation.robot import TeleopRobot, teleop_robot
from hand_pose_ros.ros.messages.camera import time_message
from hand_pose_ros.ros.messages.cloud import hands_cloud
from hand_pose_ros.ros.messages.robot_command import COMMAND_KINDS
from hand_pose_ros.ros.robot_simulator.node import RobotSimulator
from hand_pose_ros.ros.teleop.node import HandTeleop
from helpers.ros_harness import RELIABLE, Listener, Recorder, release_state_machine, wait_for
from helpers.teleoperation import assert_safe, posed

NAMESPACE = "hand_pose"
NODE = f"/{NAMESPACE}/hand_teleop"
COMMANDS = f"/{NAMESPACE}/right_demo_controller/joint_trajectory"
STATES = f"/{NAMESPACE}/right_demo/joint_states"
LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
RATE_HZ = 50.0
TOLERANT = {
    "hand.max_age_s": 10.0,
    "watchdog.timeout_s": 1.0,
    "watchdog.disengage_after_s": 1.5,
    "robot_state.timeout_s": 5.0,
    "motion.output_rate_hz": RATE_HZ,
    "motion.ramp_speed": 1.0,
    "diagnostics_period_s": 0.1,
}
"""Parameters with which a busy machine is not taken for a fault."""


def demo_robot() -> TeleopRobot:
    """The robot that the node drives by default."""
    return teleop_robot(read_profile("demo_hand"), demo_hand_urdf())


def pose_of(
    gesture: str = "relaxed",
    side: str = "right",
    track_id: int | None = 3,
    wrist_m: Sequence[float] = (0.0, 0.0, 0.5),
    score: float = 0.9,
) -> HandPose:
    """A hand as the estimator publishes it."""
    frames = posed(gesture, side, wrist_m)
    return HandPose(
        side=side,
        score=score,
        joints_m=frames.joints.numpy(),
        rotations=frames.rotations.numpy(),
        angles_rad=np.zeros(hand.NUM_ANGLES),
        proportions=np.ones(hand.NUM_BONES),
        anchor_length_m=hand.MEAN_ANCHOR_LENGTH_M,
        covariance_m2=np.tile(np.eye(3) * 0.004**2, (hand.NUM_JOINTS, 1, 1)),
        wrist_covariance=np.eye(6) * 1e-4,
        track_id=track_id,
    )


class Stream:
    """Sends at 30 Hz in a thread, from :meth:`begin` until it is closed."""

    def begin(self) -> None:
        """Start to send."""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop sending."""
        self._end.set()
        self._thread.join()

    def send(self) -> None:
        """Send once."""
        raise NotImplementedError

    def _run(self) -> None:
        while not self._end.wait(1 / 30):
            self.send()


class HandStream(Stream):
    """Publishes ``hands``.

    ``poses``: the hands of an image, None for no image. ``stamp_ns``: gives its stamp.
    """

    def __init__(self, listener: Listener, topic: str = f"/{NAMESPACE}/hands") -> None:
        self._publisher = listener.publisher(hands_cloud([], Header()).__class__, topic, RELIABLE)
        self.poses: Sequence[HandPose] | None = [pose_of()]
        self.stamp_ns: Callable[[], int] = time.time_ns
        self.begin()

    def send(self) -> None:
        """See :class:`Stream`."""
        poses = self.poses
        if poses is not None:
            header = Header(stamp=time_message(self.stamp_ns()), frame_id="camera")
            self._publisher.publish(hands_cloud(poses, header))


class Teleop:
    """The node, and a simulated robot if wanted, spun in a thread of this process; all commands are recorded."""

    def __init__(
        self,
        listener: Listener,
        parameters: Mapping[str, Any] | None = None,
        simulator: Mapping[str, Any] | None = None,
        robot: TeleopRobot | None = None,
    ) -> None:
        """Start.

        Args:
            parameters: of the node, beside ``TOLERANT``.
            simulator: of the simulated robot; None for no robot.
            robot: what is driven; the default's if None.
        """
        self._listener = listener
        self.robot = robot or demo_robot()
        self.rate_hz = RATE_HZ
        """Rate of the steps whose size is checked."""
        arguments = ["--ros-args", "-r", f"__ns:=/{NAMESPACE}"]
        for name, value in {**TOLERANT, **(parameters or {}), **(simulator or {})}.items():
            arguments += ["-p", f"{name}:={str(value).lower() if isinstance(value, bool) else value}"]
        rclpy.init(args=arguments)
        self.node = HandTeleop()
        self.simulator = None if simulator is None else RobotSimulator()
        self._ended: list[RobotSimulator] = []
        self._executor = SingleThreadedExecutor()
        for node in filter(None, (self.node, self.simulator)):
            self._executor.add_node(node)
        kind = COMMAND_KINDS[self.robot.output.kind]
        self.read = kind.read
        self.commands: Recorder = listener.subscribe(
            kind.message, self.node.resolve_topic_name(self.robot.output.topic)
        )
        self.states = listener.subscribe(String, f"{NODE}/state", LATCHED)
        self._diagnostics = listener.subscribe(DiagnosticArray, "/diagnostics")
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)

    def start(self, activate: bool = True) -> Teleop:
        """Configure, activate, and spin."""
        self.node.trigger_configure()
        if activate:
            self.node.trigger_activate()
        self._thread.start()
        return self

    def stop_robot(self) -> None:
        """The simulated robot goes silent."""
        self._executor.remove_node(self.simulator)

    def restart_robot(self) -> None:
        """The simulated robot restarts in its start pose, in no time; its old subscription stays a while."""
        self.stop_robot()
        self._ended.append(self.simulator)
        self.simulator = RobotSimulator()
        self._executor.add_node(self.simulator)

    def close(self) -> None:
        """End the node as its process would: the executor first."""
        self._end.set()
        self._thread.join()
        self._executor.shutdown()
        for node in filter(None, (self.node, self.simulator, *self._ended)):
            node.destroy_node()
        release_state_machine(self.node)
        rclpy.shutdown()
        self.check()

    def _spin(self) -> None:
        while not self._end.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    # --- what the tests ask -------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """The newest state on the latched topic, without its reason."""
        return self.states.messages[-1].data.partition(": ")[0] if self.states.messages else ""

    @property
    def reason(self) -> str:
        """The newest reason."""
        return self.states.messages[-1].data.partition(": ")[2]

    def wait_for_state(self, state: str, reason: str = "") -> None:
        """Wait until the newest state and its reason are these."""
        try:
            wait_for(lambda: self.state == state and reason in self.reason, f"{state}: {reason}")
        except AssertionError as error:
            raise AssertionError(f"{error}; states: {[m.data for m in self.states.messages]}") from None

    def call(self, service: str) -> Trigger.Response:
        """Call ``engage``, ``disengage``, ``e_stop`` or ``reset``."""
        return self._listener.call_again(Trigger, f"{NODE}/{service}", Trigger.Request())

    def change_state(self, transition: int) -> None:
        """Ask for a transition of the lifecycle, which must succeed."""
        goal = "active" if transition == Transition.TRANSITION_ACTIVATE else "inactive"
        self._listener.change_state(NODE, transition, goal)

    def engage(self) -> None:
        """Engage, as soon as nothing stands against it, and wait until the robot has caught up."""
        answers = []

        def engaged() -> bool:
            answers.append(self.call("engage"))
            return answers[-1].success

        try:
            wait_for(engaged, "engaging")
        except AssertionError as error:
            raise AssertionError(f"{error}; answers: {[a.message for a in answers]}") from None
        self.wait_for_state("engaged")

    def status(self, component: str) -> DiagnosticStatus | None:
        """The newest status of 'engagement', 'robot' or 'latency'."""
        name = f"{NODE[1:]}: {component}"
        found = [s for m in list(self._diagnostics.messages)[-5:] for s in m.status if s.name == name]
        return found[-1] if found else None

    def positions(self) -> np.ndarray:
        """Joint positions (N, n) of all commands so far, read back as the driver would."""
        rows = []
        for message in list(self.commands.messages):
            names, values = self.read(message)
            assert names in ([], list(self.robot.value_names))
            rows.append(self.robot.commanded(names, values))
        return np.array(rows).reshape(-1, len(self.robot.joint_names))

    def check(self) -> None:
        """Every command is inside the limits and no step is too large.

        After a pause in the commands the robot may stand elsewhere: the series starts anew.
        """
        limits = self.robot.limits(4.0, 40.0)
        times_s, positions = np.array(self.commands.times_s), self.positions()
        breaks = np.flatnonzero(np.diff(times_s) > 0.5) + 1 if len(times_s) > 1 else []
        for series in np.split(positions, breaks):
            assert_safe(series, limits, 1 / self.rate_hz)


def joint_states(listener: Listener) -> Any:
    """A publisher of the robot's joint states."""
    return listener.publisher(JointState, STATES)
