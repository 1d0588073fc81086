"""The wrist target: index and clutch, scale, workspace, speed limits, extrinsics, filter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hand_pose_ros.retargeting.wrist.filter import LONGEST_GAP_S, WristFilter
from hand_pose_ros.retargeting.wrist.poses import IDENTITY, RigidPose, rotation_vector
from hand_pose_ros.retargeting.wrist.target import WristFollower, WristOptions

UNKNOWN = np.full((6, 6), np.nan)
FAST = {"max_speed_m_s": 10.0, "max_turn_rad_s": 30.0, "filtered": False}
CAMERA = RigidPose(np.array([0.5, 0.0, 1.0]), Rotation.from_euler("xyz", [-2.0, 0.1, 0.3]).as_matrix())


def wrist(
    x: float = 0.0, y: float = 0.0, z: float = 0.5, turn: tuple[float, float, float] = (0, 0, 0)
) -> RigidPose:
    return RigidPose(np.array([x, y, z]), Rotation.from_rotvec(turn).as_matrix())


def test_without_a_tool_the_target_is_the_wrist_in_the_robot_s_frame():
    follower = WristFollower(WristOptions(**FAST))
    for step in range(5):
        hand = wrist(0.02 * step, turn=(0.1 * step, 0, 0))
        target = follower.follow(hand, UNKNOWN, 0.033 * step, CAMERA)
    expected = CAMERA @ hand
    np.testing.assert_allclose(target.pose.position_m, expected.position_m, atol=1e-12)
    np.testing.assert_allclose(target.pose.rotation, expected.rotation, atol=1e-12)
    np.testing.assert_allclose(target.linear_m_s, CAMERA.rotation @ [0.02 / 0.033, 0, 0], atol=1e-9)
    np.testing.assert_allclose(target.angular_rad_s, CAMERA.rotation @ [0.1 / 0.033, 0, 0], atol=1e-9)


def test_with_a_tool_it_starts_there_and_follows_the_scaled_motion():
    tool = RigidPose(np.array([0.3, -0.2, 0.4]), Rotation.from_euler("z", 0.7).as_matrix())
    follower = WristFollower(WristOptions(scale=2.0, **FAST))
    first = follower.follow(wrist(), UNKNOWN, 0.0, IDENTITY, tool)
    np.testing.assert_array_equal(first.pose.position_m, tool.position_m)
    np.testing.assert_array_equal(first.linear_m_s, 0)
    target = follower.follow(wrist(0.01, turn=(0, 0, 0.2)), UNKNOWN, 0.1, IDENTITY, tool)
    np.testing.assert_allclose(target.pose.position_m, [0.32, -0.2, 0.4])
    np.testing.assert_allclose(rotation_vector(tool.rotation, target.pose.rotation), [0, 0, 0.2], atol=1e-9)


def test_a_tool_outside_the_workspace_is_brought_in_at_the_speed_limit():
    tool = RigidPose(np.array([0.8, 0.1, 0.3]), np.eye(3))
    options = WristOptions(workspace_min_m=(-0.3, -0.3, 0.0), workspace_max_m=(0.3, 0.3, 1.0), filtered=False)
    follower = WristFollower(options)
    last = follower.follow(wrist(), UNKNOWN, 0.0, IDENTITY, tool).pose.position_m
    np.testing.assert_array_equal(last, tool.position_m)
    for step in range(1, 40):
        position = follower.follow(wrist(), UNKNOWN, step / 30, IDENTITY, tool).pose.position_m
        assert np.linalg.norm(position - last) <= options.max_speed_m_s / 30 + 1e-9
        last = position
    np.testing.assert_allclose(last, [0.3, 0.1, 0.3], atol=1e-9)


def test_without_a_tool_the_first_target_is_inside_the_workspace():
    options = WristOptions(workspace_min_m=(-0.3, -0.3, 0.0), workspace_max_m=(0.3, 0.3, 0.4))
    first = WristFollower(options).follow(wrist(), UNKNOWN, 0.0, IDENTITY)
    np.testing.assert_array_equal(first.pose.position_m, [0, 0, 0.4])


def test_the_clutch_freezes_the_target_and_takes_a_new_index():
    follower = WristFollower(WristOptions(**FAST))
    follower.follow(wrist(), UNKNOWN, 0.0, IDENTITY)
    before = follower.follow(wrist(0.1), UNKNOWN, 0.1, IDENTITY).pose
    follower.release()
    assert follower.pose is before
    back = follower.follow(wrist(-0.3, turn=(0.5, 0, 0)), UNKNOWN, 1.0, IDENTITY)
    np.testing.assert_array_equal(back.pose.position_m, before.position_m)
    after = follower.follow(wrist(-0.28, turn=(0.6, 0, 0)), UNKNOWN, 1.1, IDENTITY).pose
    np.testing.assert_allclose(after.position_m, before.position_m + [0.02, 0, 0])
    np.testing.assert_allclose(rotation_vector(before.rotation, after.rotation), [0.1, 0, 0], atol=1e-9)
    follower.reset()
    assert follower.pose is None


@settings(max_examples=50, deadline=None)
@given(steps=st.lists(st.tuples(*[st.floats(-3, 3)] * 6, st.floats(-0.1, 1.0)), min_size=2, max_size=20))
def test_no_motion_of_the_hand_leaves_the_workspace_or_is_too_fast(steps):
    options = WristOptions(workspace_min_m=(-0.3, -0.2, 0.1), workspace_max_m=(0.3, 0.2, 0.6))
    follower, stamp_s, last = WristFollower(options), 0.0, None
    for *numbers, passed_s in steps:
        stamp_s += passed_s
        target = follower.follow(wrist(*numbers[:3], turn=tuple(numbers[3:])), UNKNOWN, stamp_s, IDENTITY)
        assert (target.pose.position_m >= np.array(options.workspace_min_m) - 1e-9).all()
        assert (target.pose.position_m <= np.array(options.workspace_max_m) + 1e-9).all()
        assert np.linalg.norm(target.linear_m_s) <= options.max_speed_m_s + 1e-9
        assert np.linalg.norm(target.angular_rad_s) <= options.max_turn_rad_s + 1e-9
        if last is not None:
            longest_s = min(max(passed_s, 0.0), 0.1)
            moved = np.linalg.norm(target.pose.position_m - last.position_m)
            turned = np.linalg.norm(rotation_vector(last.rotation, target.pose.rotation))
            assert moved <= options.max_speed_m_s * longest_s + 1e-9
            assert turned <= options.max_turn_rad_s * longest_s + 1e-6
        last = target.pose


def test_the_filter_trusts_a_measurement_by_its_covariance():
    generator = np.random.default_rng(0)

    def residual(sigma_m: float, sigma_rad: float, stated: float) -> tuple[float, float]:
        covariance = np.diag([(stated * sigma_m) ** 2] * 3 + [(stated * sigma_rad) ** 2] * 3)
        filtered, errors = WristFilter(), []
        for step in range(200):
            noisy = RigidPose(
                np.array([0.0, 0.0, 0.5]) + generator.normal(0, sigma_m, 3),
                Rotation.from_rotvec(generator.normal(0, sigma_rad, 3)).as_matrix(),
            )
            result = filtered.update(noisy, covariance, step / 30)
            errors.append((result.position_m[0], rotation_vector(np.eye(3), result.rotation)[0]))
        return tuple(np.std(errors[50:], axis=0))

    honest = residual(0.01, 0.2, 1.0)
    sure = residual(0.01, 0.2, 0.1)
    assert honest[0] < 0.7 * 0.01
    assert honest[1] < 0.85 * 0.2
    assert sure[0] > honest[0]
    assert sure[1] > honest[1]


@pytest.mark.parametrize("part", ["along the ray", "orientation", "all", "off the diagonal"])
def test_a_covariance_that_overflows_does_not_last(part):
    covariance = np.eye(6) * 1e-4
    if part == "along the ray":
        covariance[2, 2] = 1e308
    elif part == "orientation":
        covariance[3:, 3:] = np.eye(3) * 1.7e308
    elif part == "all":
        covariance[:] = 1.7e308
    else:
        covariance[0, 1] = -1e308
    follower = WristFollower(WristOptions())
    honest = np.eye(6) * 1e-4
    for step in range(3):
        before = follower.follow(wrist(0.01 * step), honest, step / 30, IDENTITY).pose
    huge = follower.follow(wrist(0.03), covariance, 3 / 30, IDENTITY)
    assert huge is None or np.isfinite(huge.pose.position_m).all()
    for step in range(4, 8):
        target = follower.follow(wrist(0.01 * step), honest, step / 30, IDENTITY)
        assert target is None or np.linalg.norm(target.pose.position_m - before.position_m) < 0.1
    assert target is not None
    assert np.isfinite(target.pose.position_m).all()
    assert np.isfinite(target.pose.rotation).all()


def test_a_wrist_or_tool_that_is_not_finite_holds_the_target():
    follower = WristFollower(WristOptions())
    nowhere = RigidPose(np.full(3, np.nan), np.eye(3))
    assert follower.follow(wrist(), UNKNOWN, 0.0, IDENTITY, nowhere) is None
    assert follower.pose is None
    before = follower.follow(wrist(), UNKNOWN, 0.1, IDENTITY).pose
    assert follower.follow(nowhere, UNKNOWN, 0.2, IDENTITY) is None
    assert follower.follow(wrist(), UNKNOWN, 0.3, nowhere) is None
    assert follower.pose is before


def test_a_less_certain_wrist_is_never_trusted_more():
    """Around the spread of hand sizes too: nothing is subtracted for it."""

    def moved_m(sigma_share: float) -> float:
        filtered = WristFilter()
        covariance = np.eye(6) * 1e-6
        filtered.update(wrist(), covariance, 0.0)
        covariance[2, 2] = (sigma_share * 0.5) ** 2
        return filtered.update(wrist(z=0.6), covariance, 1 / 30).position_m[2] - 0.5

    moves = [moved_m(share) for share in np.linspace(0.005, 0.1, 40)]
    assert (np.diff(moves) < 0).all()


def test_after_a_gap_or_a_jump_back_the_filter_starts_again():
    filtered = WristFilter()
    filtered.update(wrist(), UNKNOWN, 10.0)
    assert filtered.update(wrist(1.0), UNKNOWN, 10.0 + 2 * LONGEST_GAP_S).position_m[0] == 1.0
    assert filtered.update(wrist(2.0), UNKNOWN, 5.0).position_m[0] == 2.0
    assert 2.0 < filtered.update(wrist(2.1), UNKNOWN, 5.03).position_m[0] < 2.1


def test_impossible_options_and_poses_are_refused():
    with pytest.raises(ValueError, match="workspace_min_m must be less"):
        WristOptions(workspace_min_m=(0.0, 0.0, 2.0))
    with pytest.raises(ValueError, match="robot_frame must not be empty"):
        WristOptions(enabled=True, robot_frame="")
    with pytest.raises(ValueError, match="not finite"):
        RigidPose.from_quaternion(np.zeros(3), np.array([0, 0, 0, np.nan]))
    pose = RigidPose.from_quaternion(np.ones(3), np.array([0, 0, 2.0, 0]))
    np.testing.assert_allclose(pose.quaternion, [0, 0, 1, 0], atol=1e-12)
