"""Sessions that lose contact with the robot hold, and approach it from where it is then."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.session_run import START, Run
from helpers.teleoperation import LIMITS, NAMES

from hand_pose_ros.retargeting.teleoperation.engagement import State


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


def test_a_joint_that_is_not_finite_stays_unknown_until_it_is_reported(make):
    run = make().engaged()
    state = run.session.robot_state
    state.update(("thumb",), (np.nan,), run.now_s)
    for other in (("elbow",), ("finger",)):  # of another driver on the same topic
        state.update(other, (0.1,), run.now_s)
        assert state.why_unknown(run.now_s) == "the joint state of thumb is not finite"
    state.update(("thumb",), (0.2,), run.now_s)
    assert state.why_unknown(run.now_s) == ""


# --- a robot that jumps ----------------------------------------------------------------------------------------


def following(make, **options: object) -> Run:
    """A session whose robot does what it is told, from START on."""
    run = make(**{"watchdog.disengage_after_s": 5.0, **options})
    run.follows = True
    return run.engaged()


@pytest.mark.parametrize("moving", [False, True])
def test_a_driver_that_restarts_gets_no_command_and_is_then_approached_from_where_it_is(make, moving):
    run = following(make)
    run.retargeter.positions = np.array([-0.4, 1.5, 2.0])
    run.run(0.2 if moving else 3.0)
    resets, count = len(run.retargeter.resets), len(run.commands)
    run.restart(START)
    run.run(1 / 60)
    assert run.state is State.HOLDING
    assert run.session.engagement.reason.startswith("the robot jumped away from its commands: ")
    assert run.session.robot_state.why_unknown(run.now_s) == run.session.engagement.reason
    run.run(0.9)
    assert len(run.commands) == count, "not even to brake: it would be drawn to where the command was"
    run.run(0.2)
    assert run.state is State.RAMPING
    np.testing.assert_array_equal(run.retargeter.resets[resets:], [START])
    run.run(8.0)
    assert run.state is State.ENGAGED
    run.series, run.robot = [], START


def test_a_robot_that_jumps_during_a_hold_is_not_drawn_back(make):
    run = following(make)
    run.hands = lambda stamp_s: None
    run.run(1.0)
    assert run.state is State.HOLDING
    count = len(run.commands)
    run.restart(START)
    run.run(1.0)
    assert len(run.commands) == count
    run.series, run.robot = [], START


def test_a_robot_that_jumps_once_and_back_is_held_where_it_is(make):
    """One joint state that is wrong."""
    run = following(make)
    held = run.commands[-1]
    run.restart(START)
    run.run(1 / 60)
    run.restart(held)
    run.run(1.2)
    assert run.state in (State.RAMPING, State.ENGAGED)
    np.testing.assert_allclose(run.series[-1][0], held, atol=1e-9)
    run.series = []


def test_nobody_engages_right_after_a_jump(make):
    run = following(make)
    run.restart(START)
    run.run(1 / 60)
    run.session.disengage("test")
    assert "jumped" in run.session.engage("test", run.now_s)
    run.run(1.1)
    run.engage()
    run.series, run.robot = [], START


@pytest.mark.parametrize("every", [1, 6, 18])
@pytest.mark.parametrize("lag", [0, 12])
def test_motion_that_was_commanded_is_no_jump(make, every, lag):
    """The robot lags behind by 0.2 s, and of its joint states only one in 0.3 s comes."""
    run = following(make, **{"motion.ramp_speed": 1.0})
    run.lag, run.every = lag, every
    for positions in ([-0.4, 1.5, 2.0], [1.4, -0.2, -2.0]) * 3:
        run.retargeter.positions = np.array(positions)
        run.run(0.4)
        assert run.state in (State.RAMPING, State.ENGAGED), run.session.engagement.reason
    run.series = []


def test_a_joint_that_turns_may_go_on_at_the_other_end_of_its_turn(make):
    run = following(make)
    wheel = [0.0, 0.0, 2 * np.pi]
    run.restart(run.robot - wheel)
    run.run(0.1)
    assert run.state is State.ENGAGED
    run.restart(run.robot - wheel[::-1])
    run.run(0.1)
    assert run.session.engagement.reason == "the robot jumped away from its commands: finger by 6.28 rad"
    run.series = []


def test_a_larger_jump_may_be_allowed(make):
    run = following(make, **{"robot_state.max_jump_rad": 5.0})
    run.restart(START)
    run.run(0.1)
    assert run.state is State.ENGAGED
    run.series = []
