"""The hand_teleop node moves a robot hand after a human hand: a managed (lifecycle) node around a session."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType  # pyright: ignore[reportPrivateImportUsage] - defined here in Humble
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.subscription import Subscription
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from hand_pose_ros.retargeting.profile_files import read_profile
from hand_pose_ros.retargeting.teleoperation.engagement import State
from hand_pose_ros.retargeting.teleoperation.motion import CAMERA_RATE
from hand_pose_ros.retargeting.teleoperation.operator_switch import OperatorSwitch
from hand_pose_ros.retargeting.teleoperation.robot import TeleopRobot, teleop_robot, urdf_text
from hand_pose_ros.ros.shared.diagnostics import diagnostics_message
from hand_pose_ros.ros.shared.faults import FaultLog
from hand_pose_ros.ros.shared.latched import LATCHED
from hand_pose_ros.ros.shared.lifecycle import logged, start_by_itself, survive_impossible_transitions
from hand_pose_ros.ros.shared.parameters import changed, declare
from hand_pose_ros.ros.teleop.driver import TeleopDriver
from hand_pose_ros.ros.teleop.emergency_stop import EmergencyStop
from hand_pose_ros.ros.teleop.output import StatePublisher
from hand_pose_ros.ros.teleop.parameters import OF_PROFILE, TeleopParameters
from hand_pose_ros.ros.teleop.status import TeleopStatus

_LOADING_ERRORS: Final = (ValueError, OSError, ImportError)


class HandTeleop(LifecycleNode):
    """The robot loads in configure, or when its description comes; commands are sent only while active.

    An emergency stop counts in every state of the lifecycle, and stays in force until it is reset.
    All callbacks run in the executor's thread, one after the other; the process ends them before the node goes.
    """

    def __init__(self) -> None:
        super().__init__("hand_teleop")
        survive_impossible_transitions(self, lambda: self._lifecycle)
        self._settings = declare(self, TeleopParameters)
        self._faults = FaultLog(self.get_logger())
        self._status = TeleopStatus(self._faults)
        self._lifecycle = "unconfigured"
        self._robot: TeleopRobot | None = None
        self._driver: TeleopDriver | None = None
        self._description: Subscription | None = None
        self._switch = OperatorSwitch(self._settings.session.switch)
        self._state = StatePublisher(self)
        self._reason = ""
        """Why there is no driver."""
        self._publish_idle("the node is not active")
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(
            self._settings.diagnostics_period_s, self._publish_diagnostics, clock=self._steady_clock
        )
        self._add_service("engage", lambda driver: driver.engage())
        self._add_service("disengage", lambda driver: driver.session.disengage("service") or "")
        self._emergency_stop = EmergencyStop(
            self, self._on_stop_level, self._on_stop_service, self._steady_clock
        )
        self.create_service(Trigger, "~/reset", self._on_reset)
        self.create_service(SetBool, "~/clutch", self._on_clutch)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        if self._settings.autostart:
            start_by_itself(self)

    @property
    def driver(self) -> TeleopDriver | None:
        """The driver, while the node is active and knows its robot."""
        return self._driver

    # --- lifecycle ---------------------------------------------------------------------------------------------

    @logged
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the robot; after a failure the node stays unconfigured and can be configured again."""
        settings = self._settings
        try:
            profile = read_profile(settings.robot, settings.side_of_robot)
            urdf = urdf_text(profile, settings.robot_description_file)
            if urdf is not None:
                self._robot = self._load(urdf)
        except _LOADING_ERRORS as error:
            self._report_bad_robot(error)
            return TransitionCallbackReturn.FAILURE
        self._faults.clear("robot")
        if urdf is None:
            self._report_no_description()
            self._description = self.create_subscription(
                String, "robot_description", self._on_description, LATCHED
            )
        self._lifecycle = "inactive"
        return super().on_configure(state)

    @logged
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to listen; the robot stays disengaged."""
        result = super().on_activate(state)
        self._lifecycle = "active"
        self._status.start()
        if self._robot is not None:
            self._begin(self._robot)
        else:
            self._report_no_description()
            self._publish_idle(self._why_no_driver())
        return result

    @logged
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Brake, send a hold, and stop listening."""
        self._stop("the node was deactivated")
        return super().on_deactivate(state)

    @logged
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget the robot."""
        self._release()
        return super().on_cleanup(state)

    @logged
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End everything, from any state."""
        self._stop("the node was shut down")
        self._release()
        self._lifecycle = "finalized"
        return super().on_shutdown(state)

    @logged
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured after a failed transition."""
        self._stop("a transition failed")
        self._release()
        return super().on_error(state)

    def destroy_node(self) -> None:
        """Bring the robot to rest before the node goes: the last command is a hold."""
        self._stop("the process ends")
        self._release()
        super().destroy_node()

    def _load(self, urdf: str) -> TeleopRobot:
        """The robot of a URDF; raises what its parts raise, and ValueError for an impossible topic or rate."""
        settings, command = self._settings, self._settings.command
        profile = read_profile(settings.robot, settings.side_of_robot)
        kind = "" if command.kind == OF_PROFILE else command.kind
        robot = teleop_robot(profile, urdf, kind, command.topic, settings.joint_states_topic)
        for topic in (robot.output.topic, robot.output.state_topic):
            self._check_topic(topic)
        rate_hz, silence_s = settings.session.motion.output_rate_hz, robot.output.longest_silence_s
        if rate_hz != CAMERA_RATE and 0 < silence_s < 1 / rate_hz:
            raise ValueError(
                f"motion.output_rate_hz must be at least {1 / silence_s:.3g}: the driver stops the hand if no "
                f"command comes for {silence_s:g} s"
            )
        hand = robot.retargeter.robot
        self.get_logger().info(
            f"{profile.name}: {hand.num_joints} joints, {robot.output.kind} on "
            f"{self.resolve_topic_name(robot.output.topic)}"
        )
        if hand.assumed_velocity_joints:
            joints = ", ".join(hand.assumed_velocity_joints)
            self.get_logger().warning(f"the URDF states no velocity limit of {joints}: a default holds")
        return robot

    def _check_topic(self, topic: str) -> None:
        try:
            self.resolve_topic_name(topic)
        except Exception as error:  # rclpy's classes of it differ from release to release
            raise ValueError(f"{topic!r} is not the name of a topic: {error}") from error

    def _begin(self, robot: TeleopRobot) -> None:
        self._driver = TeleopDriver(
            self,
            self._settings,
            robot,
            self._faults,
            self._status,
            self._state,
            self._switch,
            self._emergency_stop,
            self._steady_clock,
        )

    def _stop(self, reason: str) -> None:
        if self._driver is not None:
            self._driver.close(reason)
            self._driver = None
            self._publish_idle(reason)
        if self._lifecycle == "active":
            self._faults.clear_all()
            self._lifecycle = "inactive"

    def _release(self) -> None:
        if self._description is not None:
            self.destroy_subscription(self._description)
            self._description = None
            self._faults.clear("robot_description")
        self._robot = None
        self._lifecycle = "unconfigured"

    def _on_description(self, message: String) -> None:
        if self._robot is not None:
            return  # a robot does not change while it is driven; cleanup and configure read it again
        try:
            self._robot = self._load(message.data)
        except _LOADING_ERRORS as error:
            self._report_bad_robot(error)
            return
        self._faults.clear("robot", "robot_description")
        if self._lifecycle != "active":
            return
        try:
            self._begin(self._robot)
        except Exception as error:  # whatever it is, it must not end the process
            self._robot = None
            self._report_bad_robot(error)

    def _report_no_description(self) -> None:
        topic = self.resolve_topic_name("robot_description")
        self._faults.report(
            "robot_description", f"waiting for the robot's URDF on {topic}", DiagnosticStatus.WARN
        )

    def _report_bad_robot(self, error: Exception) -> None:
        self._faults.report("robot", f"the robot {self._settings.robot!r} cannot be loaded: {error}")

    # --- emergency stop ----------------------------------------------------------------------------------------

    def _on_stop_level(self, pressed: bool) -> None:
        if self._driver is not None:
            self._driver.press_stop(pressed)
            return
        was_stopped = bool(self._switch.stop_reason)
        self._switch.press_stop(pressed)
        if pressed and not was_stopped:
            self._stopped_while_idle()

    def _on_stop_service(self) -> str:
        if self._driver is not None:
            self._driver.stop("service")
        elif not self._switch.stop_reason:
            self._switch.stop("service")
            self._stopped_while_idle()
        return State.STOPPED.value

    def _on_reset(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        driver = self._driver
        reason = self._switch.reset() if driver is None else driver.session.reset()
        if driver is None and not reason:
            self._publish_idle(self._reason)
        response.success = not reason
        response.message = reason or self._engagement()[0].value
        return response

    def _stopped_while_idle(self) -> None:
        self.get_logger().warning(f"emergency stop while the node is {self._lifecycle}")
        self._publish_idle(self._reason)

    def _publish_idle(self, reason: str) -> None:
        """Publish the state without a driver: disengaged for ``reason``, or stopped."""
        self._reason = reason
        self._state.publish(*self._engagement())

    def _engagement(self) -> tuple[State, str]:
        """The state, and why."""
        if self._driver is not None:
            return self._driver.session.engagement.state, self._driver.session.engagement.reason
        if self._switch.stop_reason:
            return State.STOPPED, self._switch.stop_reason
        return State.DISENGAGED, self._reason

    # --- services, parameters, diagnostics ---------------------------------------------------------------------

    def _add_service(self, name: str, act: Callable[[TeleopDriver], str]) -> None:
        """A Trigger service ``~/name`` that acts on the driver; ``act`` returns why it failed, or ''."""

        def answer(_request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            driver = self._driver
            if driver is None:
                response.message = self._why_no_driver()
                return response
            reason = act(driver)
            driver.output(time.monotonic())
            response.success = not reason
            response.message = reason or driver.session.engagement.state.value
            return response

        self.create_service(Trigger, f"~/{name}", answer)

    def _why_no_driver(self) -> str:
        if self._lifecycle != "active":
            return f"the node is {self._lifecycle}"
        return "the robot's description is not known"

    def _on_clutch(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if self._driver is None:
            response.message = self._why_no_driver()
            return response
        self._driver.set_clutch(request.data)
        response.success = True
        return response

    def _on_set_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        try:
            self._settings = changed(self._settings, changes, self._lifecycle == "unconfigured")
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._timer.timer_period_ns = round(self._settings.diagnostics_period_s * 1e9)
        if self._driver is not None:
            self._driver.change_settings(self._settings)
        return SetParametersResult(successful=True)

    def _publish_diagnostics(self) -> None:
        state, reason = self._engagement()
        robot = None if self._driver is None else self._driver.report()
        if self._driver is None and state is State.DISENGAGED and self._lifecycle == "active":
            reason = self._why_no_driver()
        name = self.get_fully_qualified_name().lstrip("/")
        statuses = self._status.statuses(name, self._lifecycle, state, reason, robot)
        self._diagnostics.publish(diagnostics_message(statuses, self.get_clock().now().to_msg()))
