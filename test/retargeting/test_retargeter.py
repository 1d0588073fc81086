"""Retargeting frame by frame: round trips, pinches, limits and steps, mirrored hands, refused input."""

import itertools
import re

import numpy as np
import pytest
from helpers.robot_hands import between, demo_retargeter, human_joints, random_joints
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_pose_ros import hand
from hand_pose_ros.retargeting.retargeter import LONGEST_STEP_S

POSES = ("open", "relaxed", "flat", "pinch", "grasp", "fist", "point", "thumbs_up")


@pytest.mark.parametrize("side", hand.SIDES)
def test_open_hands_are_followed_to_millimetres(side):
    retargeter = demo_retargeter(side)
    for pose in ("open", "relaxed", "flat", "three"):
        retargeter.reset()
        result = retargeter.retarget(human_joints(pose, side), None, 1 / 30)
        assert result.converged
        assert result.residuals_m.max() < 0.004, pose


@pytest.mark.parametrize("side", hand.SIDES)
def test_a_pinch_closes_although_the_robot_is_larger(side):
    retargeter = demo_retargeter(side)
    for joints in between(human_joints("open", side), human_joints("pinch", side), 30):
        retargeter.retarget(joints, None, 1 / 30)
    for _ in range(30):  # the low-pass comes to rest
        result = retargeter.retarget(joints, None, 1 / 30)
    robot = retargeter.robot
    tips = robot.link_indices([tip.link for tip in retargeter.profile.fingertips[:2]])
    thumb, index = robot.link_positions(result.positions_rad, tips)
    assert retargeter.pinches[0]
    assert np.linalg.norm(thumb - index) < 0.005


def test_a_left_hand_moves_as_the_mirrored_right_hand():
    right, left = demo_retargeter("right"), demo_retargeter("left")
    hands = [
        *between(human_joints("open"), human_joints("fist"), 8),
        *between(human_joints("fist"), human_joints("ok"), 8),
    ]
    for joints in hands:
        ours = right.retarget(joints, None, 1 / 30)
        mirrored = left.retarget(joints * [1, -1, 1], None, 1 / 30)
        np.testing.assert_allclose(ours.positions_rad, mirrored.positions_rad, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    dt_s=st.lists(st.floats(1e-4, 3.0), min_size=3, max_size=8),
    known=st.booleans(),
)
def test_no_output_leaves_the_limits_or_steps_too_far(seed, dt_s, known):
    random = np.random.default_rng(seed)
    retargeter = demo_retargeter()
    robot = retargeter.robot
    last = random.uniform(robot.lower_rad, robot.upper_rad) if known else None
    retargeter.reset(last)
    for dt in dt_s:
        sigma = random.uniform(0, 0.05, hand.NUM_JOINTS)
        positions = retargeter.retarget(random_joints(random), sigma, dt).positions_rad
        assert (positions >= robot.lower_rad - 1e-12).all()
        assert (positions <= robot.upper_rad + 1e-12).all()
        if last is not None:
            step = robot.velocity_rad_s * min(dt, LONGEST_STEP_S)
            assert (np.abs(positions - last) <= step + 1e-12).all()
        last = positions


def test_a_robot_that_is_outside_its_limits_comes_back_step_by_step():
    retargeter = demo_retargeter()
    robot = retargeter.robot
    start = robot.upper_rad + 0.5
    retargeter.reset(start)
    positions = retargeter.retarget(human_joints("open"), None, 0.01).positions_rad
    step = robot.velocity_rad_s * 0.01
    np.testing.assert_allclose(positions, start - step)
    for _ in range(100):
        positions = retargeter.retarget(human_joints("open"), None, 0.01).positions_rad
    assert (positions <= robot.upper_rad).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda j: j * np.nan, "must be finite"),
        (lambda j: np.where(np.arange(21)[:, None] == 20, np.inf, j), "must be finite"),
        (lambda j: j * 1000, "must be metres"),
        (lambda j: j * 0, "no hand"),
        (lambda j: j[:20], r"shape \(21, 3\), got \(20, 3\)"),
    ],
)
def test_bad_joints_are_refused_and_change_nothing(change, message):
    retargeter, untouched = demo_retargeter(), demo_retargeter()
    for each in (retargeter, untouched):
        each.retarget(human_joints("open"), None, 1 / 30)
    with pytest.raises(ValueError, match=message):
        retargeter.retarget(change(human_joints("pinch")), None, 1 / 30)
    after = [each.retarget(human_joints("grasp"), None, 1 / 30) for each in (retargeter, untouched)]
    np.testing.assert_array_equal(after[0].positions_rad, after[1].positions_rad)


def test_the_search_elsewhere_may_come_early_and_finds_other_valleys():
    early, late, never = (demo_retargeter() for _ in range(3))
    never.search_elsewhere = lambda: None
    found = set()
    poses = ("open", "pinch", "fist", "ok", "open", "thumbs_up")
    for first, second in itertools.pairwise(poses):
        for joints in between(human_joints(first), human_joints(second), 12):
            outputs = [one.retarget(joints, None, 1 / 30).positions_rad for one in (early, late, never)]
            early.search_elsewhere()
            early.search_elsewhere()
            np.testing.assert_array_equal(outputs[0], outputs[1])
            found.add(bool((outputs[0] != outputs[2]).any()))
    assert True in found, "the search never changed anything"


@pytest.mark.parametrize("dt_s", [0.0, -1.0, np.nan, np.inf])
def test_a_time_that_does_not_advance_is_refused(dt_s):
    with pytest.raises(ValueError, match="dt_s must be positive"):
        demo_retargeter().retarget(human_joints("open"), None, dt_s)


@pytest.mark.parametrize("sigma", [np.full(21, np.nan), np.full(21, -1.0), np.zeros(20), np.full(21, np.inf)])
def test_a_bad_sigma_is_refused(sigma):
    with pytest.raises(ValueError, match="sigma_m must"):
        demo_retargeter().retarget(human_joints("open"), sigma, 1 / 30)


def test_a_reset_with_bad_positions_is_refused():
    retargeter = demo_retargeter()
    for positions in (np.zeros(15), np.full(16, np.nan)):
        with pytest.raises(ValueError, match="16 finite numbers"):
            retargeter.reset(positions)


def test_an_uncertain_fingertip_counts_less():
    sigma = np.full(hand.NUM_JOINTS, 0.005)
    sigma[hand.JOINT_INDEX["index_tip"]] = np.inf
    bent = (human_joints("point") + human_joints("grasp")) / 2
    moves = []
    for spread in (None, sigma):
        retargeter = demo_retargeter()
        before = retargeter.retarget(human_joints("open"), None, 1 / 30).positions_rad
        after = retargeter.retarget(bent, spread, 1 / 30).positions_rad
        moves.append(np.abs(after - before)[4:8].max())
    # Nothing is known of the index finger: it stays; with the same certainty everywhere it moves.
    assert moves[1] < 0.1 * moves[0]


def test_the_code_of_the_documentation_gives_a_command(repository):
    (code,) = re.findall(r"```python\n(.+?)```", (repository / "docs/use/robots.md").read_text(), re.DOTALL)
    names = {
        "present_positions_rad": np.zeros(16),
        "joints_m": human_joints("relaxed"),
        "sigma_m": np.full(hand.NUM_JOINTS, 0.005),
        "dt_s": 1 / 30,
    }
    exec(code, names)
    np.testing.assert_array_equal(names["command"], names["result"].positions_rad)
    assert np.abs(names["command"]).max() > 0.01
