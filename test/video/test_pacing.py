"""When frames of a recording are due: at its own rate, at another, after a loop, and when the player is late."""

from __future__ import annotations

import pytest

from hand_pose_ros.video.pacing import Pacer


def play(pacer: Pacer, times_s: list[float], start_s: float = 100.0) -> list[float]:
    """Due times of a player that is always ready at once, from the first."""
    now_s, due = start_s, []
    for time_s in times_s:
        now_s = max(now_s, pacer.due_s(time_s, now_s))
        due.append(round(now_s - start_s, 9))
    return due


def test_own_times_are_kept():
    assert play(Pacer(None, 0.1), [5.0, 5.1, 5.3, 5.35]) == [0.0, 0.1, 0.3, 0.35]


def test_another_rate_is_even():
    assert play(Pacer(4.0, 0.1), [5.0, 5.1, 5.3, 5.35]) == [0.0, 0.25, 0.5, 0.75]


def test_zero_waits_for_nothing():
    assert play(Pacer(0.0, 0.1), [5.0, 6.0, 7.0]) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("rate_hz", [None, 10.0])
def test_a_jump_in_either_direction_takes_one_period(rate_hz):
    pacer = Pacer(rate_hz, 0.1)
    play(pacer, [0.0, 0.1])
    pacer.jump()
    assert pacer.due_s(7.0, 100.1) == pytest.approx(100.2)
    pacer.jump()
    assert pacer.due_s(3.0, 100.2) == pytest.approx(100.3)
    assert pacer.due_s(3.1, 100.3) == pytest.approx(100.4)


def test_small_delays_do_not_add_up_and_large_ones_are_not_caught_up():
    pacer = Pacer(None, 0.1)
    assert pacer.due_s(0.0, 100.0) == 100.0
    assert pacer.due_s(0.1, 100.12) == pytest.approx(100.1)
    assert pacer.due_s(0.2, 100.12) == pytest.approx(100.2)
    assert pacer.due_s(0.3, 105.0) == 105.0
    assert pacer.due_s(0.4, 105.0) == pytest.approx(105.1)


def test_repeated_times_are_a_period_apart():
    assert play(Pacer(None, 0.1), [1.0, 1.0, 1.0]) == [0.0, 0.1, 0.2]
