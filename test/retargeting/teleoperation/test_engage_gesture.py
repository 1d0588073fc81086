"""Gestures that engage: recognised in both hands, held for a time, counted once."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.teleoperation import observed

from hand_pose_ros import hand
from hand_pose_ros.retargeting.teleoperation.engage_gesture import (
    GESTURES,
    NO_GESTURE,
    GestureOptions,
    HeldGesture,
    nearest_gesture,
)
from hand_pose_ros.retargeting.teleoperation.observed_hand import ObservedHand


@pytest.mark.parametrize("side", hand.SIDES)
@pytest.mark.parametrize("name", [name for name in GESTURES if name != NO_GESTURE])
def test_noisy_gestures_are_recognised(name, side):
    exact = observed(name, side)
    generator = np.random.default_rng(0)
    for _ in range(5):
        noisy = exact.joints_m + generator.normal(0, 0.003, (21, 3))
        assert nearest_gesture(ObservedHand(side, noisy, exact.sigma_m)) == name


def test_a_relaxed_or_impossible_hand_is_none_of_them():
    assert nearest_gesture(observed("relaxed")) not in GESTURES
    assert nearest_gesture(ObservedHand("left", np.full((21, 3), np.nan), np.full(21, np.nan))) is None
    scattered = np.random.default_rng(1).normal(0, 0.1, (21, 3))
    assert nearest_gesture(ObservedHand("left", scattered, np.full(21, np.nan))) is None


def test_it_must_be_held_and_ended_before_it_counts_again():
    held = HeldGesture(GestureOptions(name="fist", hold_s=1.0))
    fist, open_hand = observed("fist", "left"), observed("open", "left")
    assert [held.update(fist, t) for t in (0.0, 0.5, 0.99, 1.0, 1.5, 9.0)] == [False] * 3 + [True] + [
        False
    ] * 2
    assert not held.update(open_hand, 9.1)
    assert [held.update(fist, t) for t in (9.2, 9.7)] == [False, False]
    assert not held.update(None, 9.8)
    assert [held.update(fist, t) for t in (9.9, 10.8, 10.9)] == [False, False, True]
    assert not HeldGesture(GestureOptions()).update(fist, 0.0)
