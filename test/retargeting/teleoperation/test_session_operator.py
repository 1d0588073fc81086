"""Sessions under the switches and gestures of their operator: emergency stop, dead-man switch, gesture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from helpers.teleoperation import LIMITS, observed, view

from hand_pose_ros.retargeting.teleoperation.engagement import State
from hand_pose_ros.retargeting.teleoperation.observed_hand import HandsInView
from hand_pose_ros.retargeting.teleoperation.session import SessionOptions, TeleopSession


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
