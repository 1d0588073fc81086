"""Commands in the driver's order, names, units, signs and offsets, and back."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.retargeting.command_output import CommandOutput, JointCommand

NAMES = ("q1", "q2", "q3")
LEAP = CommandOutput(
    "cmd",
    "joint_state",
    (JointCommand("q3", "motor", -1.0, math.pi), JointCommand("q1", factor=2.0)),
    units="rad",
)


def test_a_command_is_in_the_drivers_order():
    assert LEAP.names(NAMES) == ("motor", "q1")
    np.testing.assert_allclose(LEAP.values(NAMES, np.array([0.5, 9.0, 0.25])), [math.pi - 0.25, 1.0])


def test_degrees():
    output = CommandOutput("cmd", "multi_array", (JointCommand("q2", offset_rad=math.pi),), units="deg")
    np.testing.assert_allclose(output.values(NAMES, np.array([0, -math.pi / 2, 0])), [90])


def test_no_joints_means_all_by_their_own_names():
    output = CommandOutput("cmd", "trajectory")
    assert output.names(NAMES) == NAMES
    np.testing.assert_array_equal(output.values(NAMES, np.arange(3.0)), [0, 1, 2])


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3), st.sampled_from(["rad", "deg"]))
def test_a_state_reads_back_what_was_sent(positions, units):
    joints = tuple(
        JointCommand(n, sign=-1.0 if i else 1.0, offset_rad=0.1 * i, factor=i + 1.0)
        for i, n in enumerate(NAMES)
    )
    output = CommandOutput("cmd", "joint_state", joints, units=units, state_units=units)
    values = output.values(NAMES, np.array(positions))
    by_name = dict(zip(output.names(NAMES), values.tolist(), strict=True))
    for state in (values.tolist(), by_name):
        np.testing.assert_allclose(output.positions(NAMES, state), positions, atol=1e-12)


def test_a_state_has_its_own_units():
    output = CommandOutput("cmd", "multi_array", units="deg", state_units="rad")
    np.testing.assert_allclose(output.positions(NAMES, {"q1": 0.5, "q2": 0.1, "q3": 0}), [0.5, 0.1, 0])


def test_joints_that_a_state_lacks_are_not_known():
    np.testing.assert_array_equal(LEAP.positions(NAMES, {"motor": math.pi}), [np.nan, np.nan, 0])
    with pytest.raises(ValueError, match="must hold 2 values, got 3"):
        LEAP.positions(NAMES, [0.0, 0.0, 0.0])


def test_unknown_joints_are_named():
    with pytest.raises(ValueError, match="names q3; the robot's joints are q1, q2"):
        LEAP.values(("q1", "q2"), np.zeros(2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "topic"}, "kind must be one of trajectory"),
        ({"units": "mm"}, "units must be one of rad"),
        ({"state_units": "mm"}, "state_units must be one of rad"),
        ({"topic": ""}, "topic must not be empty"),
        ({"joints": (JointCommand("q1"), JointCommand("q1"))}, "must not repeat, but q1 does"),
    ],
)
def test_bad_commands_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        CommandOutput(**{"topic": "cmd", "kind": "trajectory", **options})


@pytest.mark.parametrize(
    ("options", "message"), [({"sign": 2.0}, "sign must"), ({"factor": 0.0}, "factor must")]
)
def test_bad_joints_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        JointCommand("q1", **options)
