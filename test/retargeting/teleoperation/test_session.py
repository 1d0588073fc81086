"""A session without ROS, driven by a simulated clock: engaging, following, doubts about the hand, limits."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.session_run import START
from helpers.teleoperation import LIMITS, NAMES, FakeRetargeter, observed, view

from hand_pose_ros.retargeting.teleoperation.engagement import State
from hand_pose_ros.retargeting.teleoperation.observed_hand import ObservedHand
from hand_pose_ros.retargeting.teleoperation.session import SessionOptions, TeleopSession


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


def test_a_search_that_fails_after_the_command_holds_until_the_next_hand(make):
    run = make().engaged()
    run.session.prepare_next()
    assert run.state is State.ENGAGED
    run.retargeter.search_error = RuntimeError("no valley")
    run.session.prepare_next()
    run.session.tick(run.now_s)
    assert run.state is State.HOLDING
    assert "no valley" in run.session.engagement.reason
    run.run(3.0)
    assert run.state is State.ENGAGED


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
