"""Values over time: the newest at or before a time, by name, whichever message holds them."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.recordings import joint_state, make, trajectory
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.recordings.value_series import (
    JOINT_STATE,
    JOINT_TRAJECTORY,
    MULTI_ARRAY,
    ValueCollector,
    newest_before,
)


@given(times=st.lists(st.integers(0, 100), max_size=20), at=st.lists(st.integers(-5, 105), max_size=20))
def test_the_newest_before_is_that_of_a_search_through_all(times, at):
    times = sorted(times)
    expected = [max((i for i, time in enumerate(times) if time <= one), default=-1) for one in at]
    assert newest_before(np.array(times, int), np.array(at, int)).tolist() == expected


def states(*rows: tuple[int, tuple[str, ...], tuple[float, ...]]) -> ValueCollector:
    collector = ValueCollector()
    for time_ns, names, values in rows:
        collector.add(joint_state(names, np.array(values), time_ns), JOINT_STATE, time_ns)
    return collector


def test_joints_of_several_messages_are_joined_by_name():
    series = states((10, ("a",), (1.0,)), (20, ("c", "b"), (3.0, 2.0)), (30, ("a",), (4.0,))).series()
    assert series.names == ("a", "c", "b")
    assert series.known_from_ns == 20
    values = series.at(np.array([5, 10, 20, 29, 30]))
    np.testing.assert_array_equal(
        values, [[np.nan] * 3, [1, np.nan, np.nan], [1, 3, 2], [1, 3, 2], [4, 3, 2]]
    )
    assert values.dtype == np.float32
    np.testing.assert_allclose(series.ages_s(np.array([5, 15, 30])), [np.inf, 5e-9, 0])


def test_a_value_that_is_not_finite_leaves_the_one_before():
    series = states((1, ("a",), (1.0,)), (2, ("a",), (np.nan,)), (3, ("a",), (np.inf,))).series()
    np.testing.assert_array_equal(series.at(np.array([3])), [[1]])
    assert states((1, ("a",), (np.nan,))).series().known_from_ns is None


def test_messages_that_come_out_of_order_are_sorted():
    series = states((30, ("a",), (3.0,)), (10, ("a",), (1.0,))).series()
    np.testing.assert_array_equal(series.at(np.array([10, 29, 30])), [[1], [1], [3]])


def test_trajectories_and_arrays():
    collector = ValueCollector()
    collector.add(trajectory(("a", "b"), np.array([1.0, 2.0])), JOINT_TRAJECTORY, 5)
    assert collector.series().names == ("a", "b")
    layout = make("std_msgs/msg/MultiArrayLayout", [], 0)
    array = make(MULTI_ARRAY, layout, np.array([1.0, 2.0]))
    for names, expected in (((), ("value_0", "value_1")), (("x", "y"), ("x", "y"))):
        collector = ValueCollector(names)
        collector.add(array, MULTI_ARRAY, 5)
        assert collector.series().names == expected
    with pytest.raises(ValueError, match="2 values for 1 names"):
        ValueCollector(("x",)).add(array, MULTI_ARRAY, 5)
    large = make(MULTI_ARRAY, layout, np.zeros(100_000))
    with pytest.raises(ValueError, match="more than 1024 names"):
        ValueCollector().add(large, MULTI_ARRAY, 5)


@pytest.mark.parametrize(
    ("names", "values", "message"),
    [
        (("a", "a"), (1.0, 2.0), "there twice"),
        (("a",), (1.0, 2.0), "2 values for 1"),
        (("x" * 300,), (1.0,), "256"),
    ],
)
def test_strange_joint_states_are_refused(names, values, message):
    with pytest.raises(ValueError, match=message):
        ValueCollector().add(joint_state(names, np.array(values), 0), JOINT_STATE, 0)
    assert states().series() is None
