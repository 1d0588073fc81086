"""Placing hands before the camera, and the covariance of what comes out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.diffusion import CAMERA, detection, hands_m

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import view_keypoints
from hand_pose_ros.estimator.keypoint_input import keypoint_input
from hand_pose_ros.estimator.metric_pose import POPULATION_SPREAD, metric_pose, place_hands
from hand_pose_ros.networks.hand_head import HandParameters, hand_from_raw
from hand_pose_ros.rotations import rotation_from_vector

SIZE_M = hand.MEAN_ANCHOR_LENGTH_M
SAMPLES = 5


def placed_exactly(index=0, hand_size_m=SIZE_M):
    """A hand of :func:`hands_m` as the network would give it if it were perfect, placed in its view."""
    joints_m = hands_m(4)[index]
    view = view_keypoints(joints_m[None])
    relative = (joints_m - joints_m[0]) @ view.rotation[0].mT / SIZE_M
    return joints_m, view, place_hands(relative, view.points[0], float(view.half_extent), hand_size_m)


@pytest.mark.parametrize("index", range(4))
def test_the_true_joints_and_size_give_the_true_place(index):
    joints_m, view, placed = placed_exactly(index)
    assert bool(placed.root.valid)
    torch.testing.assert_close(placed.joints @ view.rotation[0], joints_m, rtol=0, atol=1e-5)


@pytest.mark.parametrize("index", range(4))
def test_without_a_size_the_mean_bone_lengths_decide(index):
    """The hands here have mean proportions, so that their size is exactly the mean."""
    joints_m, view, placed = placed_exactly(index, None)
    assert float(placed.scale) == pytest.approx(SIZE_M, rel=1e-6)
    torch.testing.assert_close(placed.joints @ view.rotation[0], joints_m, rtol=0, atol=1e-5)


def test_a_missing_image_point_does_not_matter_to_an_exact_hand():
    joints_m = hands_m(1)[0]
    view = view_keypoints(joints_m[None])
    relative = (joints_m - joints_m[0]) @ view.rotation[0].mT / SIZE_M
    points = view.points[0].clone()
    points[[0, 4, 9]] = torch.nan
    placed = place_hands(relative, points, float(view.half_extent), SIZE_M)
    torch.testing.assert_close(placed.joints @ view.rotation[0], joints_m, rtol=0, atol=1e-5)


def test_a_batch_is_placed_as_each_alone():
    view = view_keypoints(hands_m(1))
    raw = 0.3 * torch.randn(6, 67, generator=torch.Generator().manual_seed(0))
    raw[:, :9] += torch.tensor((0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    joints = hand_from_raw(raw).joints
    arguments = (view.points[0], float(view.half_extent), None)
    together = place_hands(joints, *arguments)
    for index, one in enumerate(joints):
        alone = place_hands(one, *arguments)
        torch.testing.assert_close(together.at(index).joints, alone.joints, rtol=0, atol=1e-6, equal_nan=True)
    assert together.at(slice(1, None)).joints.shape == (5, 21, 3)


def sampled_pose(spread_scale=1.0, size_known=True, weights=None, side="right"):
    """A pose from an exact hand and samples around it, and what went into it."""
    found = detection(hands_m(1)[0])
    view, _ = keypoint_input(CAMERA, found)
    generator = torch.Generator().manual_seed(0)
    raw = 0.05 * torch.randn(1 + SAMPLES, 67, generator=generator)
    raw[:, :9] += torch.tensor((0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    every = hand_from_raw(raw)
    placed = place_hands(every.joints, view.points[0], float(view.half_extent), SIZE_M)
    weights = torch.full((SAMPLES,), 1 / SAMPLES) if weights is None else weights
    pose = metric_pose(
        replace(found, side=side),
        view.rotation[0],
        HandParameters(*(value[0] for value in every)),
        placed.at(0),
        HandParameters(*(value[1:] for value in every)),
        placed.at(slice(1, None)),
        weights,
        spread_scale,
        size_known,
    )
    return pose, view.rotation[0].double(), every, placed


def test_covariance_grows_by_that_of_the_samples_in_the_camera_frame():
    """With the factor on the samples' spread; what else there is of it stays."""
    weights = torch.tensor([0.1, 0.3, 0.2, 0.15, 0.25])
    pose, rotation, every, placed = sampled_pose(1.7, weights=weights)
    rest = sampled_pose(0.0, weights=weights)[0]
    expected, wrist = np.zeros((21, 3, 3)), np.zeros((6, 6))
    for sample, weight in enumerate(weights.tolist()):
        joints = (placed.joints[1 + sample] @ rotation).numpy()
        turn = (rotation.mT @ (every.rotation[1 + sample] @ every.rotation[0].mT).double() @ rotation).numpy()
        angle = np.arccos((np.trace(turn) - 1) / 2)
        axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
        vector = angle * axis / np.linalg.norm(axis)
        deviations = joints - pose.joints_m
        for joint in range(21):
            expected[joint] += weight * 1.7**2 * np.outer(deviations[joint], deviations[joint])
        both = np.concatenate((deviations[0], vector))
        wrist += weight * 1.7**2 * np.outer(both, both)
    np.testing.assert_allclose(pose.covariance_m2 - rest.covariance_m2, expected, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(pose.wrist_covariance - rest.wrist_covariance, wrist, rtol=1e-3, atol=1e-7)


def test_an_unknown_size_is_uncertain_along_the_ray():
    known, unknown = sampled_pose(size_known=True)[0], sampled_pose(size_known=False)[0]
    for joint in range(21):
        along = POPULATION_SPREAD * known.joints_m[joint]
        np.testing.assert_allclose(
            unknown.covariance_m2[joint] - known.covariance_m2[joint], np.outer(along, along), atol=1e-9
        )
    difference = unknown.wrist_covariance - known.wrist_covariance
    along = POPULATION_SPREAD * known.joints_m[0]
    np.testing.assert_allclose(difference[:3, :3], np.outer(along, along), atol=1e-9)
    assert not difference[3:].any()


def test_covariances_are_symmetric_and_positive():
    for side in ("right", "left"):
        pose = sampled_pose(side=side, size_known=False)[0]
        for matrix in (*pose.covariance_m2, pose.wrist_covariance):
            np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
            assert np.linalg.eigvalsh(matrix).min() > -1e-9


def test_wrist_covariance_of_a_left_hand_against_finite_rotations():
    """Turning the mirrored samples out of the mirrored hand gives the left hand's rotation part."""
    right, rotation, every, _ = sampled_pose()
    left = sampled_pose(side="left")[0]
    flip = torch.diag(torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64))
    camera = rotation.mT @ every.rotation.double()
    mirrored = flip @ camera @ torch.diag(torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64))
    turns = mirrored[1:] @ mirrored[:1].mT
    vectors = torch.stack([_log(turn) for turn in turns])
    expected = (vectors[:, :, None] * vectors[:, None]).mean(0).numpy()
    np.testing.assert_allclose(left.wrist_covariance[3:, 3:], expected, rtol=1e-3, atol=1e-7)
    assert abs(left.wrist_covariance[3:, 3:] - right.wrist_covariance[3:, 3:]).max() > 1e-6
    # And back again: the rotation by the vector is the turn.
    torch.testing.assert_close(rotation_from_vector(vectors), turns, rtol=0, atol=1e-6)


def _log(turn):
    skew = (turn - turn.mT) / 2
    vector = torch.stack((skew[2, 1], skew[0, 2], skew[1, 0]))
    return vector / vector.norm() * torch.atan2(vector.norm(), (turn.trace() - 1) / 2)


def test_a_hand_that_cannot_be_placed_is_invalid_with_the_reason():
    found = detection(hands_m(1)[0])
    view, _ = keypoint_input(CAMERA, found)
    every = hand_from_raw(torch.randn(3, 67, generator=torch.Generator().manual_seed(0)))
    nowhere = place_hands(every.joints, torch.full((21, 2), torch.nan), 0.2, None)
    pose = metric_pose(
        found,
        view.rotation[0],
        HandParameters(*(value[0] for value in every)),
        nowhere.at(0),
        HandParameters(*(value[1:] for value in every)),
        nowhere.at(slice(1, None)),
        torch.full((2,), 0.5),
        1.0,
        size_known=True,
    )
    assert not pose.valid
    assert pose.reason == "the wrist's position cannot be solved: too few joints"
