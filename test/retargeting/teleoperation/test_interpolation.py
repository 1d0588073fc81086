"""The interpolator: straight lines between frames, never beyond the newest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.retargeting.teleoperation.interpolation import LONGEST_FRAME_S, TargetInterpolator


def test_it_arrives_one_frame_later():
    interpolator = TargetInterpolator()
    interpolator.add(np.array([0.0]), 10.0)
    assert interpolator.at(10.0) == 0.0
    interpolator.add(np.array([1.0]), 10.04)
    assert [interpolator.at(10.04 + t)[0] for t in (0.0, 0.01, 0.02, 0.04, 9.0)] == pytest.approx(
        [0.0, 0.25, 0.5, 1.0, 1.0]
    )


def test_a_late_frame_is_approached_no_longer_than_the_longest():
    interpolator = TargetInterpolator()
    interpolator.add(np.array([0.0]), 0.0)
    interpolator.add(np.array([1.0]), 50.0)
    assert interpolator.at(50.0 + LONGEST_FRAME_S)[0] == 1.0
    interpolator.add(np.array([3.0]), 51.0, immediate=True)
    assert interpolator.at(51.0)[0] == 3.0


@given(
    frames=st.lists(st.tuples(st.floats(-3, 3), st.floats(-0.1, 0.3)), min_size=1, max_size=10),
    times=st.lists(st.floats(-1, 1), max_size=5),
)
def test_it_stays_between_the_targets(frames, times):
    interpolator, now_s = TargetInterpolator(), 0.0
    for target, passed_s in frames:
        now_s += passed_s
        interpolator.add(np.array([target]), now_s)
        for offset_s in times:
            value = interpolator.at(now_s + offset_s)[0]
            assert min(t for t, _ in frames) - 1e-12 <= value <= max(t for t, _ in frames) + 1e-12
    assert interpolator.at(now_s + 2 * LONGEST_FRAME_S)[0] == target


def test_without_a_target_there_is_no_value():
    interpolator = TargetInterpolator()
    assert interpolator.empty
    with pytest.raises(ValueError, match="no target"):
        interpolator.at(0.0)
    interpolator.add(np.zeros(1), 0.0)
    assert not interpolator.empty
    interpolator.clear()
    assert interpolator.empty
