"""A teleoperation session: human hands and joint states go in, safe commands of a robot hand come out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from hand_pose_ros.common.options import Options, section
from hand_pose_ros.common.shapes import Array
from hand_pose_ros.retargeting.teleoperation.admission import Admission, AdmissionOptions, HandAdmission
from hand_pose_ros.retargeting.teleoperation.engage_gesture import GestureOptions, HeldGesture
from hand_pose_ros.retargeting.teleoperation.engagement import Change, Engagement, State, WatchdogOptions
from hand_pose_ros.retargeting.teleoperation.limiter import JointLimits
from hand_pose_ros.retargeting.teleoperation.motion import CommandMotion, MotionOptions
from hand_pose_ros.retargeting.teleoperation.observed_hand import HandsInView, ObservedHand
from hand_pose_ros.retargeting.teleoperation.operator_switch import OperatorSwitch, SwitchOptions
from hand_pose_ros.retargeting.teleoperation.robot_state import RobotState, RobotStateOptions
from hand_pose_ros.retargeting.wrist_frame import in_wrist_frame

_FIRST_FRAME_S: Final = 1 / 30
_FRAME_RANGE_S: Final = (0.001, 0.2)
"""Times between images that the retargeter is told of."""
_TURN_RAD: Final = 2 * np.pi - 1e-6
"""A joint of this range turns all round."""


class HandRetargeter(Protocol):
    """Interface of a retargeter for a session."""

    @property
    def joint_names(self) -> Sequence[str]:
        """The J commanded joints."""
        ...

    def retarget(self, joints_m: Array, sigma_m: Array | None, dt_s: float) -> Any:
        """A result with ``positions_rad`` (J,), for joints (21, 3) in the wrist frame.

        sigma_m (21,) is infinite where it is not known, None if it is known nowhere.
        """
        ...

    def search_elsewhere(self) -> None:
        """Do what only the next frame needs."""
        ...

    def reset(self, positions_rad: Array) -> None:
        """Start from positions (J,)."""
        ...


@dataclass(frozen=True)
class SessionOptions(Options):
    """Options of a session."""

    hand: AdmissionOptions = section(AdmissionOptions, "hand")
    watchdog: WatchdogOptions = section(WatchdogOptions, "watchdog")
    switch: SwitchOptions = section(SwitchOptions, "dead_man")
    gesture: GestureOptions = section(GestureOptions, "gesture")
    robot_state: RobotStateOptions = section(RobotStateOptions, "robot_state")
    motion: MotionOptions = section(MotionOptions, "motion")


class TeleopSession:
    """Ties admission, retargeting, engagement and limits together. Not for use by several threads at once.

    ``now_s`` is the time of a monotonic clock everywhere, ``clock_s`` that of the clock that stamps images.

    Args:
        limits: of the retargeter's joints, in its order.
        obstacle: says what else forbids to engage, or ''; the robot holds while there is something.
        on_change: called after each change of state.
        reported: joints whose state the robot reports; all if None.
        switch: the operator's, which outlives the session with the emergency stop; a new one if None.
    """

    def __init__(
        self,
        retargeter: HandRetargeter,
        limits: JointLimits,
        options: SessionOptions,
        on_change: Callable[[Change], None] = lambda _: None,
        obstacle: Callable[[], str] = lambda: "",
        reported: Sequence[str] | None = None,
        switch: OperatorSwitch | None = None,
    ) -> None:
        if len(retargeter.joint_names) != len(limits.lower_rad):
            raise ValueError(f"{len(limits.lower_rad)} limits for {len(retargeter.joint_names)} joints")
        self.retargeted: Any = None
        """The retargeter's newest result."""
        self._retargeter = retargeter
        self._listener = on_change
        self._obstacle = obstacle
        self.options = options
        whole_turn = limits.upper_rad - limits.lower_rad >= _TURN_RAD
        turning = [name for name, turns in zip(retargeter.joint_names, whole_turn, strict=True) if turns]
        self.robot_state = RobotState(retargeter.joint_names, options.robot_state, reported, turning)
        self.switch = switch or OperatorSwitch(options.switch)
        self.switch.options = options.switch
        self.engagement = Engagement(options.watchdog, self._on_change, self.switch.stop_reason)
        self._admission = HandAdmission(options.hand)
        self._gesture = HeldGesture(options.gesture)
        self._motion = CommandMotion(limits, options.motion)
        self.refused = ""
        """Why engaging was refused last; '' if it was not."""
        self._adrift = False
        """Whether the robot may stand elsewhere than at the command: contact with it was lost."""
        self._now_s = 0.0
        self._hand_doubt = "no hand yet"
        self._absence = ""
        """Why the newest image had no hand to follow."""
        self._hand_time_s: float | None = None
        self._hand_stamp_s: float | None = None

    @property
    def period_s(self) -> float:
        """Time between two commands."""
        return self._motion.period_s

    # --- what comes in -----------------------------------------------------------------------------------------

    def observe(self, view: HandsInView, clock_s: float, now_s: float) -> Admission:
        """Take the hands of an image; returns which of them is followed."""
        admission = self._admission.admit(view, clock_s)
        if admission.hand is not None and view.stamp_s is not None:
            admission = self._follow(admission.hand, view.stamp_s, now_s)
        self._absence = admission.reason
        if admission.hand is not None:
            self._hand_time_s, self._hand_doubt = now_s, ""
        elif admission.doubtful or self._hand_time_s is None:
            self._hand_doubt = admission.reason
        self._watch_gesture(() if admission.doubtful else view.hands, now_s)
        self._judge(now_s)
        return admission

    def _follow(self, hand: ObservedHand, stamp_s: float, now_s: float) -> Admission:
        """Retarget the hand; a hand that cannot be retargeted counts as doubtful."""
        last_s, self._hand_stamp_s = self._hand_stamp_s, stamp_s
        dt_s = _FIRST_FRAME_S if last_s is None else float(np.clip(stamp_s - last_s, *_FRAME_RANGE_S))
        sigma = np.where(np.isfinite(hand.sigma_m), hand.sigma_m, np.inf)
        try:
            local = in_wrist_frame(hand.joints_m, hand.rotation)
            result = self._retargeter.retarget(local, sigma if np.isfinite(sigma).any() else None, dt_s)
            target = np.asarray(result.positions_rad, np.float64)
        except Exception as error:  # a solver may raise anything; the robot holds and the reason is reported
            return Admission(reason=f"the {hand.label} cannot be retargeted: {error}", doubtful=True)
        if target.shape != self._motion.limits.lower_rad.shape or not np.isfinite(target).all():
            return Admission(reason=f"retargeting the {hand.label} gave no finite positions", doubtful=True)
        self.retargeted = result
        self._motion.aim(target, now_s)
        return Admission(hand)

    def prepare_next(self) -> None:
        """Let the retargeter do what only the next image needs: call it when the command of this one is sent."""
        try:
            self._retargeter.search_elsewhere()
        except Exception as error:  # a solver may raise anything; the robot holds and the reason is reported
            self._hand_doubt = f"the retargeter failed: {error}"

    def change_options(self, options: SessionOptions) -> None:
        """Take other values of the options that may change while the session runs."""
        self.options = options
        self.engagement.options = options.watchdog
        self.switch.options = options.switch
        self.robot_state.options = options.robot_state
        self._admission.options = options.hand
        self._gesture.options = options.gesture
        self._motion.options = options.motion

    def _watch_gesture(self, hands: Sequence[ObservedHand], now_s: float) -> None:
        others = [one for one in hands if one.side != self.options.hand.side]
        other = max(others, key=lambda one: one.score, default=None)
        if not self._gesture.update(other, now_s):
            return
        if self.engagement.state.active:
            self.disengage(f"gesture '{self._gesture.options.name}'")
        else:
            self.engage(f"gesture '{self._gesture.options.name}'", now_s)

    # --- what the operator wants -------------------------------------------------------------------------------

    def engage(self, how: str, now_s: float) -> str:
        """Start to follow the hand; returns why not, or ''."""
        if self.engagement.state.active:
            return ""
        self.refused = self.why_not_engage(now_s) or self.engagement.engage(how)
        return self.refused

    def why_not_engage(self, now_s: float) -> str:
        """What forbids to engage now; '' if nothing does."""
        if self.engagement.state is State.STOPPED:
            return "an emergency stop is in force: reset it first"
        if not self.engagement.state.active and self._motion.braking:
            return "the robot is still braking"
        return self._doubt(now_s) or self._outside_limits()

    def disengage(self, reason: str) -> None:
        """Stop following; the robot brakes."""
        self.engagement.disengage(reason)

    def stop(self, reason: str) -> None:
        """Emergency stop: the command stays where it is, at once."""
        self.switch.stop(reason)
        self.engagement.stop(reason)

    def halt(self) -> None:
        """End the braking at once: the next command is a hold where the command is."""
        if self._motion.braking:
            self._motion.halt()

    def reset(self) -> str:
        """Take back an emergency stop or a latch; returns why not, or ''."""
        if refused := self.switch.reset():
            return refused
        self.engagement.reset()
        return ""

    def press_stop(self, pressed: bool) -> None:
        """The level of an emergency stop switch."""
        self.switch.press_stop(pressed)
        if pressed:
            self.engagement.stop(self.switch.stop_reason)

    def dead_man(self, pressed: bool, now_s: float) -> str:
        """The level of the dead-man switch came; pressing it engages. Returns why not, or ''."""
        if self.switch.press(pressed, now_s):
            return self.engage("dead-man switch", now_s)
        if not pressed and self.options.switch.used:
            self.disengage("dead-man switch released")
        return ""

    # --- what goes out -----------------------------------------------------------------------------------------

    def tick(self, now_s: float) -> Array | None:
        """The command (J,) to send at ``now_s``, or None for none."""
        self._judge(now_s)
        state = self.engagement.state
        if not state.following:
            command = self._motion.rest(now_s, stay=state.active and not self._adrift)
        else:
            command, near = self._motion.follow(now_s, ramping=state is State.RAMPING)
            if near:
                self.engagement.caught_up()
        if command is not None:
            self.robot_state.commanded(command, now_s)
        return command

    # --- doubts ------------------------------------------------------------------------------------------------

    def _judge(self, now_s: float) -> None:
        """Hold while there is a doubt, resume after it, disengage when it takes too long."""
        self._now_s = now_s
        if not self.engagement.state.active:
            return
        self._adrift = self._adrift or bool(self._robot_doubt(now_s))
        if released := self.switch.why_released(now_s):
            self.disengage(released)
        elif doubt := self._doubt(now_s) or self._not_ready_to_restart():
            self.engagement.hold(doubt, now_s)
            self.engagement.tick(now_s)
        else:
            self.engagement.resume()
        if self.robot_state.why_jumped(now_s):
            self._motion.abandon()

    def _doubt(self, now_s: float) -> str:
        if self._hand_doubt:
            return self._hand_doubt
        if not self._last_hand_is_fresh(now_s):
            age_s = now_s - (self._hand_time_s or 0.0)
            return f"no valid {self.options.hand.side} hand for {age_s:.2f} s: {self._absence or 'no images'}"
        return self._robot_doubt(now_s) or self.switch.why_released(now_s)

    def _robot_doubt(self, now_s: float) -> str:
        """Why the robot may stand, or go, elsewhere than at the command."""
        return self.robot_state.why_unknown(now_s) or self._obstacle()

    def _not_ready_to_restart(self) -> str:
        """Why a robot that may have moved cannot be followed yet from where it is."""
        if not self._adrift:
            return ""
        return "the robot is still braking" if self._motion.braking else self._outside_limits()

    def _last_hand_is_fresh(self, now_s: float) -> bool:
        return self._hand_time_s is not None and now_s - self._hand_time_s <= self.options.watchdog.timeout_s

    def _outside_limits(self) -> str:
        positions = self.robot_state.positions_rad()
        excess = np.abs(positions - self._motion.limits.clamped(positions))
        names = self._retargeter.joint_names
        outside = [
            f"{names[i]} by {excess[i]:.2f} rad"
            for i in np.flatnonzero(
                self.robot_state.reported & (excess > self.options.motion.limit_tolerance_rad)
            )
        ]
        return f"the robot stands outside its limits: {', '.join(outside)}" if outside else ""

    def _start(self, positions_rad: Array) -> None:
        """Move from where the robot stands, positions (J,)."""
        self._adrift = False
        self._retargeter.reset(self._motion.start(positions_rad))

    def _on_change(self, change: Change) -> None:
        if change.new is State.STOPPED:
            # A robot adrift that has been left alone would be dragged to the old command.
            if self._motion.braking or (change.old.active and not self._adrift):
                self._motion.halt()
        elif change.new is State.RAMPING and not change.old.active:
            self._start(self.robot_state.positions_rad())
            self._admission.lock()
        elif change.new is State.RAMPING and self._adrift:
            fresh = self.robot_state.fresh_rad(self._now_s)
            self._start(np.where(np.isfinite(fresh), fresh, self._motion.command_rad))
        elif change.new is State.RAMPING:
            self._motion.resume()
        elif change.old.following and not change.new.following:
            self._motion.brake()
        if not change.new.active:
            self._admission.unlock()
        self._listener(change)
