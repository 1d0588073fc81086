"""A whole session without ROS, driven by a simulated clock. Every command of every test is checked for safety."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from helpers.teleoperation import LIMITS, NAMES, FakeRetargeter, assert_safe, observed, view

from hand_pose_ros.retargeting.teleoperation.engagement import Change, State
from hand_pose_ros.retargeting.teleoperation.observed_hand import HandsInView, ObservedHand
from hand_pose_ros.retargeting.teleoperation.session import SessionOptions, TeleopSession

START = np.array([0.1, 0.2, -0.3])


class Run:
    """A session in simulated time: hands at 30 Hz, robot states and commands at 60 Hz.

    ``hands``: makes the view at a time, None for no image. ``clock_offset_s``: of the node's clock. ``robot``: its
    joint positions, None for silence.
    """

    def __init__(self, **options: object) -> None:
        self.retargeter = FakeRetargeter()
        self.changes: list[Change] = []
        self.obstacle = ""
        self.session = TeleopSession(
            self.retargeter,
            LIMITS,
            SessionOptions.from_flat(
                {"watchdog.disengage_after_s": 1.0, "motion.output_rate_hz": 60.0, **options}
            ),
            self.changes.append,
            lambda: self.obstacle,
        )
        self.now_s = 100.0
        self.clock_offset_s = 1000.0
        self.hands: Callable[[float], HandsInView | None] = lambda stamp_s: view(observed(), stamp_s=stamp_s)
        self.robot: np.ndarray | None = START
        self.series: list[list[np.ndarray]] = []
        """Commands between engaging and the end of sending."""
        self._sending = False
        self.run(0.1)

    @property
    def state(self) -> State:
        return self.session.engagement.state

    @property
    def commands(self) -> list[np.ndarray]:
        return [command for series in self.series for command in series]

    def run(self, duration_s: float) -> None:
        for _ in range(round(60 * duration_s)):
            self.now_s += 1 / 60
            if round(self.now_s * 60) % 2 == 0:
                seen = self.hands(self.now_s + self.clock_offset_s - 0.03)
                if seen is not None:
                    self.session.observe(seen, self.now_s + self.clock_offset_s, self.now_s)
            if self.robot is not None:
                self.session.robot_state.update(NAMES, self.robot.tolist(), self.now_s)
            command = self.session.tick(self.now_s)
            if command is not None and not self._sending:
                self.series.append([])
            self._sending = command is not None
            if command is not None:
                self.series[-1].append(command)

    def engage(self) -> None:
        assert self.session.engage("test", self.now_s) == ""

    def engaged(self) -> Run:
        self.engage()
        self.run(3.0)
        assert self.state is State.ENGAGED
        return self

    def check(self) -> None:
        for series in self.series:
            assert_safe(series, LIMITS, self.session.period_s, None if self.robot is None else self.robot)


@pytest.fixture
def make() -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start(**options: object) -> Run:
        runs.append(Run(**options))
        return runs[-1]

    yield start
    for run in runs:
        run.check()


def test_nothing_is_sent_before_it_is_engaged(make):
    run = make()
    run.run(1.0)
    assert run.state is State.DISENGAGED
    assert run.commands == []


def test_engaging_ramps_from_the_robot_s_state_and_then_follows(make):
    run = make()
    run.engage()
    assert run.state is State.RAMPING
    run.run(1 / 60)
    np.testing.assert_array_equal(run.commands[0], START)
    np.testing.assert_array_equal(run.retargeter.resets[-1], START)
    run.run(0.2)
    speeds = np.abs(np.diff(np.array(run.commands), axis=0)).max(axis=0) * 60
    assert (speeds <= 0.25 * LIMITS.velocity_rad_s + 1e-9).all()
    run.run(3.0)
    assert run.state is State.ENGAGED
    np.testing.assert_allclose(run.commands[-1], run.retargeter.positions, atol=1e-3)
    # Engaged, the full velocity is there.
    run.retargeter.positions = np.array([-0.4, 1.5, 2.0])
    run.run(0.5)
    speeds = np.abs(np.diff(np.array(run.commands[-30:]), axis=0)).max(axis=0) * 60
    assert (speeds > 0.9 * LIMITS.velocity_rad_s).all()
    assert [change.new for change in run.changes] == [State.RAMPING, State.ENGAGED]


def test_a_robot_far_away_at_engage_is_approached_from_where_it_is(make):
    run = make()
    run.robot = np.array([-0.5, 1.8, 25.0])
    run.run(0.1)
    run.engage()
    run.run(2.0)
    assert run.state is State.RAMPING
    np.testing.assert_array_equal(run.commands[0], run.robot)
    assert 22 < run.commands[-1][2] < 24.5


def test_a_robot_outside_its_limits_is_not_engaged(make):
    run = make()
    run.robot = np.array([1.9, 0.0, 0.0])
    run.run(0.1)
    assert run.session.engage("test", run.now_s) == "the robot stands outside its limits: finger by 0.40 rad"
    run.robot = np.array([1.55, 0.0, 0.0])
    run.run(0.1)
    run.engage()
    run.run(0.1)
    assert run.commands[0][0] == 1.5


def test_targets_outside_the_limits_stay_inside(make):
    run = make()
    run.retargeter.positions = np.array([9.0, -9.0, 400.0])
    run.engage()
    run.run(5.0)
    np.testing.assert_allclose(run.commands[-1][:2], [1.5, -0.2], atol=1e-6)


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda run: setattr(run, "hands", lambda stamp_s: None), "no valid right hand for"),
        (lambda run: setattr(run, "hands", lambda stamp_s: view(stamp_s=stamp_s)), "no right hand in view"),
        (lambda run: setattr(run, "robot", None), "the robot's joint state is"),
        (lambda run: setattr(run, "robot", np.array([0.0, np.nan, 0.0])), "thumb is not finite"),
        (lambda run: setattr(run, "obstacle", "nobody listens"), "nobody listens"),
        (lambda run: setattr(run.retargeter, "error", RuntimeError("singular")), "singular"),
        (lambda run: setattr(run.retargeter, "positions", np.full(3, np.nan)), "no finite positions"),
        (lambda run: run.session.stop("test"), "emergency stop is in force"),
    ],
)
def test_engaging_is_refused_with_a_reason(make, prepare, reason):
    run = make()
    prepare(run)
    run.run(1.0)
    assert reason in run.session.engage("test", run.now_s)
    assert reason in run.session.refused
    run.run(0.2)
    assert run.commands == []
    run.robot = START


def test_without_joint_states_it_starts_only_if_allowed_to(make):
    run = make(**{"robot_state.required": False})
    run.session.robot_state = type(run.session.robot_state)(NAMES, run.session.options.robot_state)
    run.robot = None
    run.run(0.1)
    run.engage()
    run.run(0.1)
    np.testing.assert_array_equal(run.commands[0], 0)


# --- hazards ---------------------------------------------------------------------------------------------------


def test_a_hand_that_is_lost_is_held_and_followed_again_when_back(make):
    run = make().engaged()
    run.retargeter.positions = np.array([-0.4, 1.5, 2.0])
    run.run(0.1)
    run.hands = lambda stamp_s: view(stamp_s=stamp_s)
    run.run(0.2)
    assert run.state is State.ENGAGED, "a short loss is bridged"
    run.run(0.1)
    assert run.state is State.HOLDING
    assert "no right hand in view" not in run.session.engagement.reason
    assert "the right hand (track 3) is not in view" in run.session.engagement.reason
    run.run(0.3)
    np.testing.assert_array_equal(run.commands[-1], run.commands[-2])
    run.hands = lambda stamp_s: view(observed(), stamp_s=stamp_s)
    run.run(0.05)
    assert run.state is State.RAMPING
    run.run(4.0)
    assert run.state is State.ENGAGED


def test_a_hand_lost_for_long_disengages_and_stays_so(make):
    run = make().engaged()
    run.hands = lambda stamp_s: None
    run.run(0.5)
    assert run.state is State.HOLDING
    run.run(1.0)
    assert run.state is State.LATCHED
    count = len(run.commands)
    np.testing.assert_array_equal(run.commands[-1], run.commands[-2])
    run.hands = lambda stamp_s: view(observed(), stamp_s=stamp_s)
    run.run(1.0)
    assert run.state is State.LATCHED
    assert len(run.commands) == count, "nothing is sent"
    run.engaged()


DOUBTS = {
    "second person": lambda stamp_s: view(observed(track_id=9), stamp_s=stamp_s),
    "side flip": lambda stamp_s: view(observed(side="left"), stamp_s=stamp_s),
    "stale": lambda stamp_s: view(observed(), stamp_s=stamp_s - 2.0),
    "future": lambda stamp_s: view(observed(), stamp_s=stamp_s + 2.0),
    "no stamp": lambda stamp_s: view(observed(), stamp_s=None),
    "frozen stamp": lambda stamp_s: view(observed(), stamp_s=1100.0),
    "jump": lambda stamp_s: view(observed(wrist_m=(0.9, 0, 0.5)), stamp_s=stamp_s),
    "NaN": lambda stamp_s: view(
        ObservedHand("right", np.full((21, 3), np.nan), np.full(21, np.nan), 3), stamp_s=stamp_s
    ),
}


@pytest.mark.parametrize("doubt", DOUBTS)
def test_a_doubt_holds_at_once_and_latches(make, doubt):
    run = make().engaged()
    run.hands = DOUBTS[doubt]
    run.run(0.07)
    assert run.state is State.HOLDING, "without waiting for the timeout"
    resting = run.commands[-1]
    run.run(1.2)
    assert run.state is State.LATCHED
    np.testing.assert_allclose(run.commands[-1], resting, atol=0.05)


def test_a_second_person_beside_the_followed_hand_changes_nothing(make):
    run = make().engaged()
    run.hands = lambda stamp_s: view(
        observed(track_id=9, score=1.0, wrist_m=(0.3, 0, 0.5)), observed(), stamp_s=stamp_s
    )
    run.run(1.0)
    assert run.state is State.ENGAGED


@pytest.mark.parametrize("jump_s", [-5.0, 5.0])
def test_a_jump_of_the_clock_holds_and_moves_nothing_fast(make, jump_s):
    run = make().engaged()
    run.retargeter.positions = np.array([-0.4, 1.5, 2.0])
    lag_s = run.clock_offset_s
    run.hands = lambda stamp_s: view(observed(), stamp_s=stamp_s - run.clock_offset_s + lag_s)
    run.clock_offset_s += jump_s  # the clock jumps, the stamps of the camera go on
    run.run(0.2)
    assert run.state is State.HOLDING
    lag_s = run.clock_offset_s  # the camera follows
    run.run(0.2)
    assert run.state in (State.RAMPING, State.ENGAGED)


def test_a_robot_that_falls_silent_is_held(make):
    run = make().engaged()
    run.robot = None
    run.run(0.6)
    assert run.state is State.HOLDING
    assert "joint state is 0.6 s old" in run.session.engagement.reason
    run.run(1.2)
    assert run.state is State.LATCHED
    run.robot = START


LOST = {
    "joint states": (lambda run: setattr(run, "robot", None), lambda run: None),
    "subscribers": (
        lambda run: setattr(run, "obstacle", "nobody listens"),
        lambda run: setattr(run, "obstacle", ""),
    ),
}
"""How contact with the robot is lost, and what else ends that, beside joint states that come."""


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("hand_too", [False, True])
def test_a_robot_that_moved_while_contact_was_lost_is_approached_from_where_it_is(make, lost, hand_too):
    lose, find = LOST[lost]
    run = make(**{"watchdog.disengage_after_s": 5.0}).engaged()
    held = run.commands[-1]
    hands = run.hands
    if hand_too:
        run.hands = lambda stamp_s: None
        run.run(0.5)
        assert run.state is State.HOLDING
    lose(run)
    run.run(1.0)
    assert run.state is State.HOLDING
    count = len(run.commands)
    run.run(1.0)
    assert len(run.commands) == count, "the old command is not repeated to a robot that may have moved"
    np.testing.assert_allclose(run.commands[-1], held, atol=1e-3)
    run.robot = np.array([-0.4, 1.7, 2.0])
    if hand_too:
        find(run)
        run.run(0.3)
        assert len(run.commands) == count
        run.hands = hands
    find(run)
    resets = len(run.retargeter.resets)
    run.run(0.1)
    assert run.state is State.RAMPING
    assert len(run.series) == 2
    np.testing.assert_array_equal(run.series[1][0], run.robot)
    np.testing.assert_array_equal(run.retargeter.resets[resets:], [run.robot])
    speeds = np.abs(np.diff(np.array(run.series[1]), axis=0)).max(axis=0) * 60
    assert (speeds <= 0.25 * LIMITS.velocity_rad_s + 1e-9).all()
    run.run(4.0)
    assert run.state is State.ENGAGED
    run.series, run.robot = run.series[1:], run.series[1][0]


def test_a_robot_that_moved_is_not_dragged_back_by_an_emergency_stop_or_a_latch(make):
    run = make().engaged()
    run.robot = None
    run.run(1.0)
    count = len(run.commands)
    run.robot = np.array([-0.4, 1.7, 2.0])
    run.session.press_stop(True)
    run.run(0.5)
    assert run.state is State.STOPPED
    assert len(run.commands) == count
    run.session.press_stop(False)
    run.session.reset()
    run.engage()
    run.run(0.1)
    run.robot = None
    run.run(3.0)
    assert run.state is State.LATCHED
    run.series, run.robot = run.series[:1], START


def test_a_robot_that_moved_outside_its_limits_is_not_followed_again(make):
    run = make(**{"watchdog.disengage_after_s": 5.0}).engaged()
    run.robot = None
    run.run(1.0)
    run.robot = np.array([1.9, 0.0, 0.0])
    run.run(1.0)
    assert run.state is State.HOLDING
    assert run.session.engagement.reason == "the robot stands outside its limits: finger by 0.40 rad"
    run.robot = START
    run.run(0.1)
    assert run.state is State.RAMPING


def test_a_short_loss_of_contact_in_motion_brakes_before_it_starts_again(make):
    run = make().engaged()
    run.retargeter.positions = np.array([-0.4, 1.5, 2.0])
    run.run(0.3)
    run.obstacle = "nobody listens"
    run.run(1 / 60)
    run.obstacle = ""
    run.run(1 / 60)
    assert (run.state, run.session.engagement.reason) == (State.HOLDING, "the robot is still braking")
    run.robot = run.commands[-1]
    run.run(0.3)
    assert run.state in (State.RAMPING, State.ENGAGED)
    assert len(run.series) == 1
    run.series, run.robot = [], START


def test_a_robot_without_joint_states_goes_on_from_the_last_command(make):
    run = make(**{"robot_state.required": False, "watchdog.disengage_after_s": 5.0})
    run.session.robot_state = type(run.session.robot_state)(NAMES, run.session.options.robot_state)
    run.robot = None
    run.engaged()
    held = run.commands[-1]
    run.obstacle = "nobody listens"
    run.run(1.0)
    run.obstacle = ""
    run.run(0.1)
    np.testing.assert_array_equal(run.series[1][0], held)


def test_an_obstacle_holds(make):
    run = make().engaged()
    run.obstacle = "nobody listens on /command"
    run.run(0.1)
    assert (run.state, run.session.engagement.reason) == (State.HOLDING, run.obstacle)


def test_late_and_missing_ticks_never_make_a_large_step(make):
    run = make().engaged()
    run.retargeter.positions = np.array([-0.4, 1.5, 2.0])
    for pause_s in (0.2, 0.05, 0.2, 0.01):
        run.now_s += pause_s
        run.run(0.05)
    run.now_s += 60
    run.run(0.05)
    assert run.state is not State.ENGAGED


# --- the operator ----------------------------------------------------------------------------------------------


def test_disengaging_brakes_and_ends_with_a_hold(make):
    run = make().engaged()
    run.retargeter.positions = np.array([-0.4, 1.5, 2.0])
    run.run(0.15)
    run.session.disengage("test")
    assert "still braking" in run.session.engage("test", run.now_s)
    run.run(0.5)
    assert run.state is State.DISENGAGED
    np.testing.assert_allclose(run.commands[-1], run.commands[-2], atol=1e-5)
    assert len(run.series) == 1
    run.engage()


def test_an_emergency_stop_freezes_the_command_until_it_is_reset(make):
    run = make().engaged()
    run.retargeter.positions = np.array([-0.4, 1.5, 2.0])
    run.run(0.15)
    count = len(run.commands)
    run.session.press_stop(True)
    run.run(0.5)
    assert run.state is State.STOPPED
    assert len(run.commands) == count + 1
    np.testing.assert_array_equal(run.commands[-1], run.commands[-2])
    assert run.session.reset() == "the emergency stop is still pressed"
    run.session.press_stop(False)
    assert "reset it first" in run.session.engage("test", run.now_s)
    assert run.session.reset() == ""
    run.engaged()


def test_an_emergency_stop_outlives_the_session(make):
    run = make()
    run.session.stop("test")
    switch = run.session.switch
    later = TeleopSession(run.retargeter, LIMITS, SessionOptions(), run.changes.append, switch=switch)
    assert (later.engagement.state, later.engagement.reason) == (State.STOPPED, "test")
    assert "reset it first" in later.engage("test", run.now_s)
    assert later.reset() == ""
    assert (switch.stop_reason, later.engagement.state) == ("", State.DISENGAGED)
    switch.press_stop(True)
    assert (
        TeleopSession(run.retargeter, LIMITS, SessionOptions(), switch=switch).engagement.state
        is State.STOPPED
    )
    switch.press_stop(False)
    assert switch.stop_reason == "emergency stop switch", "releasing it does not end the stop"


def test_a_dead_man_switch_engages_while_it_is_pressed(make):
    run = make(**{"dead_man.used": True})
    assert run.session.engage("service", run.now_s) == "the dead-man switch is not pressed"

    def press(pressed: bool, times: int) -> None:
        for _ in range(times):
            run.session.dead_man(pressed, run.now_s)
            run.run(0.1)

    press(True, 30)
    assert run.state is State.ENGAGED
    press(False, 2)
    assert (run.state, run.session.engagement.reason) == (State.DISENGAGED, "dead-man switch released")
    press(True, 30)
    assert run.state is State.ENGAGED
    run.run(0.7)
    assert (run.state, run.session.engagement.reason) == (State.DISENGAGED, "the dead-man switch is silent")


def test_a_latch_needs_the_dead_man_switch_to_be_pressed_anew(make):
    run = make(**{"dead_man.used": True})

    def hold_down(duration_s: float) -> None:
        for _ in range(round(duration_s * 10)):
            run.session.dead_man(True, run.now_s)
            run.run(0.1)

    hold_down(3.0)
    run.hands = lambda stamp_s: None
    hold_down(2.0)
    assert run.state is State.LATCHED
    run.hands = lambda stamp_s: view(observed(), stamp_s=stamp_s)
    hold_down(1.0)
    assert run.state is State.LATCHED
    run.session.dead_man(False, run.now_s)
    hold_down(0.2)
    assert run.state is State.RAMPING


def test_a_gesture_of_the_other_hand_engages_and_disengages(make):
    run = make(**{"gesture.name": "thumbs_up", "gesture.hold_s": 0.5})

    def showing(gesture: str) -> Callable[[float], HandsInView]:
        other = observed(gesture, "left", 4, (0.3, 0, 0.5))
        return lambda stamp_s: view(observed(), other, stamp_s=stamp_s)

    run.hands = showing("thumbs_up")
    run.run(0.3)
    assert run.state is State.DISENGAGED
    run.run(4.0)
    assert run.state is State.ENGAGED
    run.hands = showing("relaxed")
    run.run(0.2)
    run.hands = showing("thumbs_up")
    run.run(0.7)
    assert (run.state, run.session.engagement.reason) == (State.DISENGAGED, "gesture 'thumbs_up'")


def test_at_camera_rate_a_target_holds_at_once(make):
    run = make(**{"motion.output_rate_hz": 0})
    run.engaged()
    run.retargeter.positions = run.commands[-1] + 0.05
    run.run(0.3)
    np.testing.assert_allclose(run.commands[-1], run.retargeter.positions, atol=1e-3)


def test_what_is_retargeted_is_in_the_wrist_frame_of_the_estimator_if_known(make):
    run = make()
    turned = np.diag([1.0, -1.0, -1.0])
    exact = observed()
    own = ObservedHand("right", exact.joints_m, exact.sigma_m, 3, 0.9, turned)
    run.hands = lambda stamp_s: view(own, stamp_s=stamp_s)
    run.run(0.1)
    expected = (exact.joints_m - exact.joints_m[0]) @ turned
    np.testing.assert_allclose(run.retargeter.inputs[-1], expected, atol=1e-12)


def test_joints_of_limits_and_retargeter_must_agree():
    class Other(FakeRetargeter):
        joint_names = ("one", "two")

    with pytest.raises(ValueError, match="3 limits for 2 joints"):
        TeleopSession(Other(), LIMITS, SessionOptions())


def test_robot_states_of_other_joints_are_left_out(make):
    run = make()
    state = run.session.robot_state
    state.update(("arm", "finger"), (float("nan"), 0.7), run.now_s)
    assert state.positions_rad()[0] == 0.7
    assert state.why_unknown(run.now_s) == ""
    state.update(("finger", "thumb"), (0.7,), run.now_s)
    assert state.why_unknown(run.now_s) == "the joint state has 2 names and 1 positions"
