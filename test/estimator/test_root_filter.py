"""The wrist's filter: steadier, hardly late, and calm with stamps that repeat, run backwards, or leave gaps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.hand_poses import random_pose
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.wrist_filters import RATE_HZ, jitter_m_s2, lag_frames, measured, reaches
from hand_pose_ros.estimator.placement import POPULATION_SPREAD
from hand_pose_ros.estimator.root_filter import RootFilter
from hand_pose_ros.estimator.wrist_kalman import WristKalman, measurement_noise, symmetric_inverse
from hand_pose_ros.pose import HandPose

FRAME_S = 1 / RATE_HZ
UNKNOWN = np.full((3, 3), np.nan)
POSE = random_pose()
SHAPE_M = (POSE.joints_m - POSE.joints_m[0]).astype(float)


def pose_at(
    wrist: np.ndarray, track_id: int | None = 0, covariance: np.ndarray = UNKNOWN, **changes
) -> HandPose:
    """A hand whose wrist is at (3,) m."""
    wrist_covariance = np.full((6, 6), np.nan)
    wrist_covariance[:3, :3] = covariance
    changes = {"track_id": track_id, "wrist_covariance": wrist_covariance, **changes}
    return replace(POSE, joints_m=SHAPE_M + wrist, **changes)


def smoothed(wrists: np.ndarray, stamps: np.ndarray, covariances: np.ndarray | None = None) -> np.ndarray:
    """(frames, 3) wrists after the filter."""
    root_filter = RootFilter()
    covariances = np.broadcast_to(UNKNOWN, (len(wrists), 3, 3)) if covariances is None else covariances
    poses = [
        root_filter.smooth([pose_at(wrist, covariance=covariance)], float(stamp))[0]
        for wrist, covariance, stamp in zip(wrists, covariances, stamps, strict=True)
    ]
    return np.stack([pose.joints_m[0] for pose in poses])


@pytest.mark.parametrize(("along", "least_gain"), [(0.012, 1.5), (0.03, 2.0)])
def test_reaches_get_steadier_and_better_and_less_than_half_a_frame_late(along, least_gain):
    jitters, errors, lags = [], [], []
    for seed in range(4):
        generator = np.random.default_rng(seed)
        truth = reaches(generator)
        raw, covariances = measured(truth, generator, along, 0.003)
        estimate = smoothed(raw, np.arange(len(raw)) * FRAME_S, covariances)
        jitters.append(jitter_m_s2(raw, truth) / jitter_m_s2(estimate, truth))
        errors.append(np.linalg.norm(raw - truth) / np.linalg.norm(estimate - truth))
        lags.append(lag_frames(estimate, truth))
    assert np.mean(jitters) > least_gain
    assert np.mean(errors) > 1.05
    assert np.mean(lags) < 0.5


def test_a_hand_at_constant_velocity_is_not_late_at_all():
    path = np.array((0.0, 0.0, 0.5)) + np.outer(np.arange(60) * FRAME_S, (0.3, -0.1, 0.2))
    estimate = smoothed(path, np.arange(60) * FRAME_S)
    np.testing.assert_allclose(estimate[30:], path[30:], atol=1e-3)
    assert lag_frames(estimate, path) < 0.05


def test_only_the_place_changes_and_all_joints_move_alike():
    root_filter = RootFilter()
    covariance = 1e-5 * np.eye(3)
    root_filter.smooth([pose_at(np.array((0, 0, 0.5)), covariance=covariance)], 0.0)
    given_pose = pose_at(np.array((0.01, 0.0, 0.52)), covariance=covariance)
    (pose,) = root_filter.smooth([given_pose], FRAME_S)
    shift = pose.joints_m - given_pose.joints_m
    np.testing.assert_allclose(shift, np.broadcast_to(shift[0], shift.shape), atol=1e-12)
    assert np.linalg.norm(shift[0]) > 1e-4
    assert pose.rotations is given_pose.rotations
    assert pose.angles_rad is given_pose.angles_rad
    assert pose.covariance_m2 is given_pose.covariance_m2


def test_hands_are_filtered_apart_and_unnumbered_or_invalid_ones_not_at_all():
    root_filter = RootFilter()
    for frame in range(10):
        poses = [pose_at(np.array((-0.1, 0, 0.5)), 1), pose_at(np.array((0.1, 0, 0.7)), 2)]
        order = poses if frame % 2 else poses[::-1]
        for before, after in zip(order, root_filter.smooth(order, frame * FRAME_S), strict=True):
            np.testing.assert_allclose(before.joints_m, after.joints_m, atol=1e-12)
    unnumbered = pose_at(np.array((0.3, 0, 0.5)), None)
    invalid = replace(pose_at(np.array((0.3, 0, 0.5)), 1), valid=False, reason="not known")
    assert root_filter.smooth([unnumbered, invalid], 1.0) == [unnumbered, invalid]


@pytest.mark.parametrize("stamp_s", [1.0, 0.9, -5.0], ids=["equal", "backward", "far back"])
def test_a_stamp_that_does_not_rise_changes_no_velocity(stamp_s):
    moving = [np.array((0.01 * frame, 0, 0.5)) for frame in range(31)]
    filtered = WristKalman(moving[0], UNKNOWN)
    for wrist in moving[1:]:
        filtered.update(wrist, UNKNOWN, FRAME_S)
    velocity = filtered.velocity_m_s.copy()
    np.testing.assert_allclose(velocity, (0.3, 0, 0), atol=0.02)
    filtered.update(np.array((0.4, 0.0, 0.6)), UNKNOWN, stamp_s - 1.0)
    np.testing.assert_array_equal(filtered.velocity_m_s, velocity)
    for _ in range(200):  # stamps that stand still do not freeze the position
        filtered.update(np.array((0.4, 0.0, 0.6)), UNKNOWN, 0.0)
    np.testing.assert_allclose(filtered.position_m, (0.4, 0.0, 0.6), atol=1e-3)


def test_a_long_gap_or_a_reset_starts_anew():
    root_filter = RootFilter()
    for frame in range(10):
        root_filter.smooth([pose_at(np.array((0.02 * frame, 0, 0.5)))], frame * FRAME_S)
    far = pose_at(np.array((-0.2, 0.1, 0.7)))
    assert root_filter.smooth([far], 10.0)[0] is far
    moved = pose_at(np.array((0.0, 0.1, 0.7)))
    assert root_filter.smooth([moved], 10.0 + FRAME_S)[0] is not moved
    root_filter.reset()
    assert root_filter.smooth([moved], 10.0 + 2 * FRAME_S)[0] is moved


def test_another_side_of_the_same_number_starts_anew():
    root_filter = RootFilter()
    root_filter.smooth([pose_at(np.array((0, 0, 0.5)), side="right")], 0.0)
    other = pose_at(np.array((0.05, 0, 0.5)), side="left")
    assert root_filter.smooth([other], FRAME_S)[0] is other


def test_an_unknown_hand_size_is_no_noise():
    """It adds the same along the ray in every frame: the filter must not hold the hand back for it."""
    wrist = np.array((0.1, -0.05, 0.5))
    noise = np.diag((1e-6, 1e-6, 2e-5))
    along = POPULATION_SPREAD**2 * np.outer(wrist, wrist)
    np.testing.assert_allclose(
        measurement_noise(wrist, noise + along), measurement_noise(wrist, noise), atol=1e-12
    )
    typical = measurement_noise(wrist, UNKNOWN)
    ray = wrist / np.linalg.norm(wrist)
    assert np.sqrt(ray @ typical @ ray) == pytest.approx(0.012 * np.linalg.norm(wrist))


@pytest.mark.parametrize("spread", [0.0, 0.02, 0.041, 0.12])
def test_the_uncertainty_of_a_given_hand_size_is_no_noise_either(spread):
    """The filter follows a hand whose pose states its size's standard deviation as one of known size."""
    noise = np.diag((1e-6, 1e-6, 2e-5))
    wrists = [np.array((0.1 + 0.01 * frame, -0.05, 0.5 + 0.01 * (frame % 2))) for frame in range(10)]

    def filtered(size_spread):
        root_filter, result = RootFilter(), None
        for frame, wrist in enumerate(wrists):
            covariance = np.zeros((6, 6))
            covariance[:3, :3] = noise + size_spread**2 * np.outer(wrist, wrist)
            pose = replace(pose_at(wrist), wrist_covariance=covariance)
            pose = replace(pose, size_sigma_m=size_spread * pose.anchor_length_m)
            (result,) = root_filter.smooth([pose], frame * FRAME_S)
        return result.joints_m

    np.testing.assert_allclose(filtered(spread), filtered(0.0), atol=1e-9)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_any_stamps_and_covariances_leave_numbers_finite_and_near_what_was_measured(seed):
    generator = np.random.default_rng(seed)
    root_filter = RootFilter()
    stamp = 0.0
    for _ in range(150):
        stamp += generator.choice(
            (0.0, FRAME_S, 3 * FRAME_S, -FRAME_S, 0.3, -2.0), p=(0.2, 0.5, 0.1, 0.1, 0.05, 0.05)
        )
        wrist = np.array((0.0, 0.0, 0.5)) + generator.normal(0, 0.01, 3)
        covariance = UNKNOWN if generator.random() < 0.3 else np.diag(generator.uniform(1e-6, 1e-3, 3))
        (pose,) = root_filter.smooth([pose_at(wrist, covariance=covariance)], stamp)
        assert np.linalg.norm(pose.joints_m[0] - wrist) < 0.15


def test_the_gain_is_that_of_a_general_solver():
    rng = np.random.default_rng(5)
    for _ in range(50):
        noise = rng.normal(size=(3, 3)) * 10.0 ** rng.uniform(-4, -1, 3)
        matrix = noise @ noise.T + 1e-8 * np.eye(3)
        np.testing.assert_allclose(symmetric_inverse(matrix) @ matrix, np.eye(3), atol=1e-6)


def test_what_is_subtracted_for_the_size_leaves_a_covariance():
    rng = np.random.default_rng(6)
    for _ in range(200):
        wrist = np.array((0.1, -0.05, 0.6)) + rng.normal(0, 0.05, 3)
        ray = wrist / np.linalg.norm(wrist)
        along = rng.normal(0, 0.05, 3) + ray  # the largest axis is a few degrees off the ray
        covariance = 0.6**2 * rng.uniform(0.066, 0.1) ** 2 * np.outer(along, along) / (along @ along)
        covariance += 1e-6 * np.eye(3)
        whole, noise = (measurement_noise(wrist, covariance, spread) for spread in (0.0, POPULATION_SPREAD))
        assert np.linalg.eigvalsh(noise).min() > 0
        assert wrist @ noise @ wrist <= wrist @ whole @ wrist
