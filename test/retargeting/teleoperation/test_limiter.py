"""The limiter: whatever the target and the time, limits are kept and stopping is always possible."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.teleoperation import LIMITS
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_pose_ros.retargeting.teleoperation.limiter import CommandLimiter, JointLimits

ANY_TARGET = st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=3, max_size=3)
NEAR_TARGET = st.lists(st.floats(-3, 3), min_size=3, max_size=3)
DT = st.one_of(st.floats(-1, 2), st.floats(1e-4, 0.05), st.sampled_from([np.nan, np.inf, 0.0]))


def stopping_distance(velocity: np.ndarray) -> np.ndarray:
    return velocity**2 / (2 * LIMITS.acceleration_rad_s2)


@settings(max_examples=150, deadline=None)
@given(
    start=st.lists(st.floats(-10, 10), min_size=3, max_size=3),
    steps=st.lists(
        st.tuples(st.one_of(ANY_TARGET, NEAR_TARGET), DT, st.floats(0.01, 1.0)), min_size=1, max_size=40
    ),
)
def test_no_input_breaks_a_limit(start, steps):
    limiter = CommandLimiter(LIMITS)
    limiter.reset(np.array(start))
    position, velocity = limiter.positions_rad, np.zeros(3)
    for target, dt_s, speed in steps:
        command = limiter.step(np.array(target), dt_s, speed)
        assert (command >= LIMITS.lower_rad).all()
        assert (command <= LIMITS.upper_rad).all()
        if not (np.isfinite(dt_s) and dt_s >= 1e-6):
            np.testing.assert_array_equal(command, position)
            continue
        moved = (command - position) / dt_s
        rounding = 1e-9 + 1e-9 / dt_s
        assert (np.abs(moved) <= LIMITS.velocity_rad_s + rounding).all()
        assert (np.abs(moved - velocity) <= LIMITS.acceleration_rad_s2 * dt_s + rounding).all()
        # It can always stop before the limits.
        assert (command + stopping_distance(moved) * (moved > 0) <= LIMITS.upper_rad + 1e-6).all()
        assert (command - stopping_distance(moved) * (moved < 0) >= LIMITS.lower_rad - 1e-6).all()
        position, velocity = command, moved


@settings(max_examples=40, deadline=None)
@given(target=NEAR_TARGET, dt_s=st.floats(0.004, 0.05))
def test_it_arrives_without_overshoot(target, dt_s):
    limiter = CommandLimiter(LIMITS)
    limiter.reset(np.zeros(3))
    goal = LIMITS.clamped(np.array(target))
    for _ in range(int(3 / dt_s)):
        command = limiter.step(np.array(target), dt_s)
        assert (np.abs(command) <= np.abs(goal) + 1e-9).all()
    np.testing.assert_allclose(command, goal, atol=1e-6)
    assert limiter.at_rest


def test_braking_ends_at_the_stopping_point():
    limiter = CommandLimiter(LIMITS)
    limiter.reset(np.zeros(3))
    for _ in range(5):
        limiter.step(np.array([1.0, -5.0, 9.0]), 0.01)
    assert not limiter.at_rest
    point = limiter.stopping_point_rad
    before = limiter.positions_rad
    for _ in range(100):
        limiter.step(np.full(3, np.nan), 0.01)
    assert limiter.at_rest
    np.testing.assert_allclose(limiter.positions_rad, point, atol=1e-6)
    assert (np.abs(point - before) > 1e-3).any()


def test_a_slower_speed_is_kept_after_braking():
    limiter = CommandLimiter(LIMITS)
    limiter.reset(np.zeros(3))
    commands = [limiter.step(np.array([0.0, 0.0, 9.0]), 0.01) for _ in range(50)]
    assert (commands[-1] - commands[-2])[2] == pytest.approx(0.04)
    commands = [limiter.step(np.array([0.0, 0.0, 9.0]), 0.01, speed=0.25) for _ in range(50)]
    assert (commands[-1] - commands[-2])[2] == pytest.approx(0.01)


def test_a_start_outside_the_limits_is_moved_inside():
    limiter = CommandLimiter(LIMITS)
    limiter.reset(np.array([9.0, -9.0, 9.0]))
    np.testing.assert_array_equal(limiter.positions_rad, [1.5, -0.2, 9.0])
    for wrong in (np.zeros(2), np.array([0.0, np.nan, 0.0])):
        with pytest.raises(ValueError, match="finite numbers"):
            limiter.reset(wrong)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"velocity_rad_s": np.array([1.0, 0.0, 1.0])}, "velocity_rad_s must be positive"),
        ({"acceleration_rad_s2": np.array([1.0, np.inf, 1.0])}, "acceleration_rad_s2 must be positive"),
        ({"lower_rad": np.array([2.0, 0.0, 0.0])}, "lower_rad must not exceed"),
        ({"upper_rad": np.zeros(2)}, "must have shape"),
        ({"lower_rad": np.full(3, np.nan)}, "lower_rad must not exceed"),
    ],
)
def test_impossible_limits_are_refused(change, reason):
    values = {
        "lower_rad": LIMITS.lower_rad,
        "upper_rad": LIMITS.upper_rad,
        "velocity_rad_s": LIMITS.velocity_rad_s,
        "acceleration_rad_s2": LIMITS.acceleration_rad_s2,
    }
    with pytest.raises(ValueError, match=reason):
        JointLimits(**(values | change))
