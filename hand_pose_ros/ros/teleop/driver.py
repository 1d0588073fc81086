"""The driver connects one session with the graph while the node is active: messages in, commands out."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final, Protocol, TypeVar

import numpy as np
from rclpy.clock import Clock
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Header

from hand_pose_ros.retargeting.teleoperation.engagement import Change, State
from hand_pose_ros.retargeting.teleoperation.motion import CAMERA_RATE
from hand_pose_ros.retargeting.teleoperation.observed_hand import HandsInView
from hand_pose_ros.retargeting.teleoperation.operator_switch import OperatorSwitch
from hand_pose_ros.retargeting.teleoperation.robot import TeleopRobot
from hand_pose_ros.retargeting.teleoperation.session import TeleopSession
from hand_pose_ros.ros.shared.faults import FaultLog
from hand_pose_ros.ros.shared.latched import QUIET
from hand_pose_ros.ros.teleop.emergency_stop import SWITCH_QOS, EmergencyStop
from hand_pose_ros.ros.teleop.frame_checker import FrameChecker
from hand_pose_ros.ros.teleop.input import HandInput
from hand_pose_ros.ros.teleop.output import LAST_COMMAND_S, CommandPublisher, OpenXrPublishers, StatePublisher
from hand_pose_ros.ros.teleop.parameters import TeleopParameters
from hand_pose_ros.ros.teleop.status import RobotReport, TeleopStatus
from hand_pose_ros.ros.teleop.wrist import WristLink

_WITHOUT_IMAGES_S: Final = 1 / 30
"""At camera rate: time between commands while no images come."""
LONGEST_BRAKING_S: Final = 2.0
LONGEST_END_S: Final = LONGEST_BRAKING_S + LAST_COMMAND_S + 0.5
"""Time that the process needs to bring the robot to rest; ros2 launch sends SIGTERM after 5 s."""
_JOINT_STATE_QOS: Final = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Of several publishers, each with some of the joints, none may displace another's newest message."""


class _Closable(Protocol):
    def close(self) -> None: ...


_Part = TypeVar("_Part", bound=_Closable)


class TeleopDriver:
    """Lives from activation, or from when the robot is known, to deactivation. One thread at a time."""

    def __init__(
        self,
        node: LifecycleNode,
        settings: TeleopParameters,
        robot: TeleopRobot,
        faults: FaultLog,
        status: TeleopStatus,
        state: StatePublisher,
        switch: OperatorSwitch,
        emergency_stop: EmergencyStop,
        clock: Clock,
    ) -> None:
        """Subscribe and begin a session, disengaged or, if an emergency stop is in force, stopped.

        What fails is raised as it comes, and leaves no publisher or subscription behind.

        Args:
            switch, emergency_stop: the node's, which outlive the driver.
            clock: a steady one for the commands, which goes on when simulated time stands still.
        """
        self._node, self._settings, self._robot = node, settings, robot
        self._faults, self._status, self._state = faults, status, state
        self._emergency_stop = emergency_stop
        motion = settings.session.motion
        self.session = TeleopSession(
            robot.retargeter,
            robot.limits(motion.max_velocity_rad_s, motion.max_acceleration_rad_s2),
            settings.session,
            self._on_change,
            self._obstacle,
            robot.reported_joints,
            switch,
        )
        self._at_camera_rate = motion.output_rate_hz == CAMERA_RATE
        self._clutched = False
        self._pending_stamp_s: float | None = None
        self._last_hand_s = 0.0
        with ExitStack() as made:  # what was made is closed if the rest fails
            self._connect(made, clock)
            self._made = made.pop_all()
        state.publish(self.session.engagement.state, self.session.engagement.reason)

    def _connect(self, made: ExitStack, clock: Clock) -> None:
        """Make publishers, subscriptions and the timer; each is put on ``made``."""
        node, settings, robot, faults = self._node, self._settings, self._robot, self._faults

        def keep(part: _Part) -> _Part:
            made.callback(part.close)
            return part

        period_s = self.session.period_s
        self.commands = keep(CommandPublisher(node, robot, settings.command.time_from_start_s, period_s))
        self._frame_checker = keep(FrameChecker(node, robot.retargeter, settings.robot_frame_prefix))
        self.wrist = keep(WristLink(node, settings.wrist, faults)) if settings.wrist.enabled else None
        self._openxr = keep(OpenXrPublishers(node, faults)) if settings.openxr else None
        self.state_topic = node.resolve_topic_name(robot.output.state_topic)
        keep(
            HandInput(
                node,
                settings.input,
                settings.session.hand.side,
                faults,
                self._on_view,
                None if self._openxr is None else self._openxr.publish,
            )
        )

        def listen(kind: Any, topic: str, callback: Callable[[Any], None], qos: QoSProfile) -> None:
            subscription = node.create_subscription(kind, topic, callback, qos, event_callbacks=QUIET)
            made.callback(node.destroy_subscription, subscription)

        listen(JointState, self.state_topic, self._on_joint_state, _JOINT_STATE_QOS)
        listen(Bool, "dead_man", self._on_dead_man, SWITCH_QOS)
        for qos in (SWITCH_QOS, QoSProfile(depth=SWITCH_QOS.depth)):
            listen(Bool, "clutch", self._on_clutch, qos)
        self._timer = node.create_timer(
            _WITHOUT_IMAGES_S if self._at_camera_rate else period_s, self._on_timer, clock=clock
        )
        made.callback(node.destroy_timer, self._timer)

    def close(self, reason: str) -> None:
        """Bring the robot to rest, so that the last command is a hold, and end everything."""
        self._timer.cancel()
        self._brake(reason)
        self.commands.flush()
        self._made.close()

    def _brake(self, reason: str) -> None:
        self.session.disengage(reason)
        began_s = time.monotonic()
        while (command := self.session.tick(time.monotonic())) is not None:
            self.commands.publish(command)
            if time.monotonic() - began_s > LONGEST_BRAKING_S:
                self._node.get_logger().error("the robot did not come to rest in time: it is stopped at once")
                self.session.halt()
                continue
            time.sleep(self.session.period_s)
            self._emergency_stop.poll()

    # --- what comes in -----------------------------------------------------------------------------------------

    def _on_view(self, view: HandsInView, header: Header) -> None:
        session, began_s = self.session, time.monotonic()
        admission = session.observe(view, self._clock_s(), began_s)
        now_s = time.monotonic()
        self._status.timed("retarget", now_s - began_s)
        self._note_refusal()
        self._status.hand = admission.reason if admission.hand is None else admission.hand.label
        self._pending_stamp_s = view.stamp_s if admission.hand is not None else None
        if self._at_camera_rate and admission.hand is not None:
            self._last_hand_s = now_s
            self.output(now_s)
        if admission.hand is not None:  # after the command, which is urgent
            session.prepare_next()
            self._status.residuals(self._frame_checker.check(session.retargeted, header.stamp))
        if self.wrist is None:
            return
        if not session.engagement.state.following or self._clutched:
            self.wrist.release()
        elif admission.hand is not None and view.stamp_s is not None:
            self.wrist.follow(admission.hand, header.frame_id, view.stamp_s)

    def _on_joint_state(self, message: JointState) -> None:
        try:
            positions = self._robot.positions(list(message.name), list(message.position))
        except ValueError as error:
            self._faults.report("joint state", f"a joint state on {self.state_topic} cannot be used: {error}")
            return
        self._faults.clear("joint state")
        self.session.robot_state.update(list(positions), list(positions.values()), time.monotonic())

    def _on_dead_man(self, message: Bool) -> None:
        self.session.dead_man(message.data, time.monotonic())
        self._note_refusal()

    def _on_clutch(self, message: Bool) -> None:
        self.set_clutch(message.data)

    # --- the operator ------------------------------------------------------------------------------------------

    def press_stop(self, pressed: bool) -> None:
        """The level of the emergency stop's switch came."""
        self.session.press_stop(pressed)
        self.output(time.monotonic())

    def stop(self, reason: str) -> None:
        """Emergency stop."""
        self.session.stop(reason)
        self.output(time.monotonic())

    def engage(self) -> str:
        """Start to follow the hand; returns why not, or ''."""
        self.commands.topic.refresh()
        self.session.engage("service", time.monotonic())
        refused = self.session.refused
        self._note_refusal()
        return refused

    def set_clutch(self, pressed: bool) -> None:
        """Freeze the wrist target, or follow again from where the hand is then."""
        if pressed != self._clutched:
            self._clutched = pressed
            self._node.get_logger().info("the wrist is frozen" if pressed else "the wrist is followed again")
        if pressed and self.wrist is not None:
            self.wrist.release()

    def change_settings(self, settings: TeleopParameters) -> None:
        """Take other values of the parameters that may change at run time."""
        self._settings = settings
        self.session.change_options(settings.session)
        if self.wrist is not None:
            self.wrist.follower.options = settings.wrist

    def _note_refusal(self) -> None:
        """Log why engaging was refused, once for each attempt."""
        refused, self.session.refused = self.session.refused, ""
        if refused:
            self._status.refused = refused
            self._node.get_logger().warning(f"not engaged: {refused}")

    def _obstacle(self) -> str:
        """What of the command topic forbids to engage, or to go on."""
        topic, options = self.commands.topic, self._settings.command
        if options.subscriber_required and not topic.subscribers:
            return f"nobody listens on {topic.name}"
        others = topic.other_publishers
        if options.exclusive and others and not self.session.engagement.state.active:
            return f"{', '.join(others)} also publishes on {topic.name}"
        return ""

    # --- what goes out -----------------------------------------------------------------------------------------

    def _on_timer(self) -> None:
        now_s = time.monotonic()
        if not self._at_camera_rate or now_s - self._last_hand_s > 1.5 * _WITHOUT_IMAGES_S:
            self.output(now_s)

    def output(self, now_s: float) -> None:
        """Send the command that is due at ``now_s``, if any."""
        command: np.ndarray | None = self.session.tick(now_s)
        if command is None:
            return
        self.commands.publish(command)
        if self._pending_stamp_s is not None and self.session.engagement.state.following:
            self._status.timed("stamp to command", self._clock_s() - self._pending_stamp_s)
            self._pending_stamp_s = None

    def _on_change(self, change: Change) -> None:
        """Log and publish a change of state, once."""
        self._status.changed(change)
        log = self._node.get_logger()
        line = f"{change.old.value} -> {change.new.value}: {change.reason}"
        if change.new in (State.HOLDING, State.LATCHED, State.STOPPED):
            log.warning(line)
        else:
            log.info(line)
        self._state.publish(change.new, change.reason)
        if self.wrist is not None and not change.new.following:
            self.wrist.release(forget=not change.new.active)

    # --- health ------------------------------------------------------------------------------------------------

    def report(self) -> RobotReport:
        """What is known of the robot; another publisher becomes a fault."""
        topic = self.commands.topic
        others = topic.other_publishers
        if others:
            self._faults.report("other publishers", f"{', '.join(others)} also publishes on {topic.name}")
        else:
            self._faults.clear("other publishers")
        return RobotReport(
            topic.name,
            topic.subscribers,
            tuple(others),
            self.state_topic,
            self.session.robot_state.why_unknown(time.monotonic()),
            self.commands.count,
        )

    def _clock_s(self) -> float:
        return self._node.get_clock().now().nanoseconds * 1e-9
