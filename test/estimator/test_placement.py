"""Placing hands before the camera, and the covariance of what comes out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.diffusion import CAMERA, detection, hands_m

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import KeypointView, view_keypoints
from hand_pose_ros.camera.scale import scale_from_mean_lengths
from hand_pose_ros.estimator import placement
from hand_pose_ros.estimator.estimate import EstimatedHands, SolvedWrists
from hand_pose_ros.estimator.hand_size import HandSize
from hand_pose_ros.estimator.keypoint_input import keypoint_input
from hand_pose_ros.estimator.placement import (
    COMMON_SPREAD,
    MISFIT_SPREAD,
    POPULATION_SPREAD,
    place,
    place_hands,
    rotation_vectors,
    weighted_covariance,
)
from hand_pose_ros.networks.hand_head import HandParameters, hand_from_raw
from hand_pose_ros.rotations import orthogonalise, rotation_from_vector

SIZE_M = hand.MEAN_ANCHOR_LENGTH_M
SAMPLES = 5


def placed_exactly(hand_size_m=SIZE_M, missing=()):
    """The hands of :func:`hands_m` as the network would give them if it were perfect, placed in their views."""
    joints_m = hands_m(4)
    view = view_keypoints(joints_m)
    relative = (joints_m - joints_m[:, :1]) @ view.rotation.mT / SIZE_M
    points = view.points.clone()
    points[:, missing] = torch.nan
    return joints_m, view, place_hands(relative, points, view.half_extent, hand_size_m)


@pytest.mark.parametrize("hand_size_m", [SIZE_M, None])
@pytest.mark.parametrize("missing", [[], [0, 4, 9]], ids=["all points", "some points"])
def test_exact_joints_give_the_true_place(hand_size_m, missing):
    """The hands here have mean proportions, so that without a size the mean bone lengths give it exactly."""
    joints_m, view, placed = placed_exactly(hand_size_m, missing)
    assert bool(placed.root.valid.all())
    torch.testing.assert_close(placed.scale, torch.full_like(placed.scale, SIZE_M), rtol=1e-6, atol=0)
    torch.testing.assert_close(placed.joints @ view.rotation, joints_m, rtol=0, atol=1e-5)


def random_hands(count):
    """Hands that are not far from palm up."""
    raw = 0.05 * torch.randn(count, 67, generator=torch.Generator().manual_seed(0))
    raw[:, :9] += torch.tensor((0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    return hand_from_raw(raw)


def test_hands_and_their_samples_are_placed_as_each_alone():
    view = view_keypoints(hands_m(3))
    joints = random_hands(3 * 5).joints.unflatten(0, (3, 5))
    together = place_hands(joints, view.points, view.half_extent, None)
    assert together.at(slice(1, None)).joints.shape == (3, 4, 21, 3)
    for row in range(3):
        one = KeypointView(*(value[row : row + 1] for value in view))
        for sample in range(5):
            alone = place_hands(joints[row : row + 1, sample], one.points, one.half_extent, None)
            torch.testing.assert_close(
                together.at(sample).joints[row : row + 1], alone.joints, rtol=0, atol=1e-6, equal_nan=True
            )


def estimated(hands, view, found, **changes):
    """The first of ``hands`` as the estimate, the others as its samples."""
    samples = HandParameters(*(value[None, 1:] for value in hands))
    values = {
        "view": view,
        "hands": HandParameters(*(value[:1] for value in hands)),
        "samples": samples,
        "weights": torch.full((1, samples.angles.shape[1]), 1 / samples.angles.shape[1]),
        **changes,
    }
    return EstimatedHands([found], (0,), **values)


def sampled_pose(spread_scale=1.0, size_known=True, weights=None, side="right"):
    """A pose from an exact hand and samples around it, and what went into it.

    Without a known size the bones have it on average, as the mean lengths of adults make them.
    """
    found = detection(hands_m(1)[0])
    view, _ = keypoint_input(CAMERA, found)
    every = random_hands(1 + SAMPLES)
    placed = place_hands(every.joints[None], view.points, view.half_extent, SIZE_M if size_known else None)
    changes = {} if weights is None else {"weights": weights[None]}
    estimate = estimated(
        every,
        view,
        replace(found, side=side),
        spread_scale=spread_scale,
        hand_size_m=SIZE_M if size_known else None,
        **changes,
    )
    (pose,) = place(estimate)
    return pose, view.rotation[0].double(), every, placed.joints[0]


def test_covariance_grows_by_that_of_the_samples_in_the_camera_frame():
    """With the factor on the samples' spread; what else there is of it stays."""
    weights = torch.tensor([0.1, 0.3, 0.2, 0.15, 0.25])
    pose, rotation, every, placed = sampled_pose(1.7, weights=weights)
    rest = sampled_pose(0.0, weights=weights)[0]
    expected, wrist = np.zeros((21, 3, 3)), np.zeros((6, 6))
    for sample, weight in enumerate(weights.tolist()):
        joints = (placed[1 + sample] @ rotation).numpy()
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


def test_an_unknown_size_is_uncertain_along_the_ray(monkeypatch):
    unknown = sampled_pose(size_known=False)[0]
    monkeypatch.setattr(placement, "POPULATION_SPREAD", 0.0)
    known = sampled_pose(size_known=False)[0]
    for joint in range(21):
        along = POPULATION_SPREAD * known.joints_m[joint]
        np.testing.assert_allclose(
            unknown.covariance_m2[joint] - known.covariance_m2[joint], np.outer(along, along), atol=1e-9
        )
    difference = unknown.wrist_covariance - known.wrist_covariance
    along = POPULATION_SPREAD * known.joints_m[0]
    np.testing.assert_allclose(difference[:3, :3], np.outer(along, along), atol=1e-9)
    assert not difference[3:].any()
    assert (known.joint_sigma_m < unknown.joint_sigma_m).all()


def test_each_hand_is_placed_in_its_own_size_with_its_own_uncertainty_along_the_ray():
    found = detection(hands_m(1)[0])
    view, _ = keypoint_input(CAMERA, found)
    every = random_hands(1 + SAMPLES)
    poses = []
    for size in (HandSize(0.08, 0.0), HandSize(0.08, 0.004), HandSize(0.1, 0.0), None):
        estimate = replace(estimated(every, view, found, hand_size_m=SIZE_M), sizes=(size,))
        poses.append(place(estimate)[0])
    exact, unsure, large, unknown = poses
    assert [one.anchor_length_m for one in (exact, unsure, large)] == [0.08, 0.08, 0.1]
    assert [one.size_sigma_m for one in (exact, unsure)] == pytest.approx([0.0, 0.004])
    assert unknown.size_sigma_m == pytest.approx(POPULATION_SPREAD * unknown.anchor_length_m)
    np.testing.assert_allclose(large.joints_m, 1.25 * exact.joints_m, rtol=1e-9)
    for joint in range(21):
        along = 0.05 * exact.joints_m[joint]
        np.testing.assert_allclose(
            unsure.covariance_m2[joint] - exact.covariance_m2[joint], np.outer(along, along), atol=1e-9
        )
    with pytest.raises(ValueError, match="as many sizes"):
        replace(estimated(every, view, found), sizes=())


def test_a_hand_with_a_solved_wrist_grows_with_its_size():
    found = detection(hands_m(1)[0])
    hands = HandParameters(*(value[:1] for value in random_hands(1)))
    view, _ = keypoint_input(CAMERA, found)
    wrist = torch.tensor([[0.1, 0.0, 0.5]])
    wrist = SolvedWrists.exact(wrist / 0.08)
    estimate = EstimatedHands([found], (0,), {}, view, hands, hand_size_m=0.08, wrist=wrist)
    (assumed,) = place(estimate)
    (measured,) = place(replace(estimate, sizes=(HandSize(0.09, 0.002),)))
    np.testing.assert_allclose(measured.joints_m, 9 / 8 * assumed.joints_m, rtol=1e-6)
    assert measured.size_sigma_m == pytest.approx(0.002)
    assert place(replace(estimate, sizes=(None,)))[0].joints_m == pytest.approx(assumed.joints_m)


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
    nowhere = view._replace(points=torch.full_like(view.points, torch.nan))
    (pose,) = place(estimated(random_hands(3), nowhere, found))
    assert not pose.valid
    assert pose.reason == "the wrist's position cannot be solved: too few joints"


def test_poses_come_in_the_order_of_the_detections_with_the_reasons_of_those_without():
    found = [replace(detection(joints), track_id=number) for number, joints in enumerate(hands_m(3))]
    view = view_keypoints(hands_m(3)[[0, 2]])
    hands = random_hands(2)
    poses = place(EstimatedHands(found, (0, 2), {1: "it hides"}, view, hands, hand_size_m=SIZE_M))
    assert [pose.track_id for pose in poses] == [0, 1, 2]
    assert [pose.reason for pose in poses] == ["", "it hides", ""]
    assert np.isnan(poses[2].covariance_m2).all()
    with pytest.raises(ValueError, match="each of 3 detections needs a hand or a reason"):
        EstimatedHands(found, (0, 2), {}, view, hands)
    with pytest.raises(ValueError, match="need their views"):
        EstimatedHands(found[:1], (0,))


def test_an_estimator_that_knows_where_its_hands_are_is_believed():
    joints_m = hands_m(2)
    view = view_keypoints(joints_m)
    in_view = joints_m @ view.rotation.mT
    wrist = in_view[:, 0]
    hands = random_hands(2)._replace(joints=(in_view - wrist[:, None]) / 0.08)
    found = [detection(one) for one in joints_m]
    solved = SolvedWrists.exact(wrist / 0.08)
    estimate = EstimatedHands(found, (0, 1), {}, view, hands, hand_size_m=0.08, wrist=solved)
    for pose, truth in zip(place(estimate), joints_m, strict=True):
        np.testing.assert_allclose(pose.joints_m, truth.numpy(), atol=1e-9)
        assert pose.anchor_length_m == 0.08
        assert np.isnan(pose.wrist_covariance).all()
    for pose, truth in zip(place(replace(estimate, hand_size_m=None)), joints_m, strict=True):
        mean = scale_from_mean_lengths(torch.from_numpy(pose.joints_m))
        assert float(mean) == pytest.approx(1.0)  # eq. 8: the bones have the mean lengths
        np.testing.assert_allclose(pose.joints_m / pose.anchor_length_m, truth.numpy() / 0.08, atol=1e-9)


def test_the_samples_of_a_solved_wrist_give_its_covariance():
    joints_m = hands_m(1)
    view = view_keypoints(joints_m)
    in_view = (joints_m @ view.rotation.mT) / 0.08
    hands = random_hands(1)._replace(joints=in_view - in_view[:, :1])
    farther = 1 + 0.02 * torch.tensor((-1.0, 1.0, torch.nan), dtype=torch.float64)[:, None]
    wrists = farther * in_view[:, :1]
    samples = HandParameters(*(value[:, None].expand(-1, 3, *value.shape[1:]) for value in hands))
    nothing = torch.zeros(1, dtype=torch.float64)
    wrist = SolvedWrists(in_view[:, 0], nothing, nothing, wrists)
    weights = torch.full((1, 3), 1 / 3)
    found = [detection(joints_m[0])]
    estimate = EstimatedHands(found, (0,), {}, view, hands, samples, weights, hand_size_m=0.08, wrist=wrist)
    (pose,) = place(estimate)
    along = 0.02 * pose.joints_m[0]
    common = (COMMON_SPREAD * 0.08) ** 2 * np.eye(3)
    np.testing.assert_allclose(pose.covariance_m2[0], np.outer(along, along) + common, atol=1e-9)
    (unsure,) = place(replace(estimate, wrist=wrist._replace(condition=nothing + 5, residual=nothing + 0.01)))
    more = (MISFIT_SPREAD * 0.05) ** 2 * np.outer(pose.joints_m[0], pose.joints_m[0])
    np.testing.assert_allclose(unsure.covariance_m2[0] - pose.covariance_m2[0], more, atol=1e-9)
    (alone,) = place(replace(estimate, samples=None, weights=None))
    assert np.isnan(alone.covariance_m2).all()


def test_fewer_than_two_samples_that_can_be_placed_have_no_covariance():
    pose, *_ = sampled_pose()
    assert np.isfinite(pose.covariance_m2).all()
    found = detection(hands_m(1)[0])
    view, _ = keypoint_input(CAMERA, found)
    (alone,) = place(estimated(random_hands(2), view, found))
    assert alone.valid
    assert np.isnan(alone.covariance_m2).all()
    assert np.isnan(alone.wrist_covariance).all()


def test_covariance_equals_a_slow_loop():
    generator = torch.Generator().manual_seed(0)
    deviations = torch.randn(7, 21, 3, generator=generator)
    weights = torch.rand(1, 7, generator=generator)
    weights /= weights.sum()
    expected = torch.zeros(21, 3, 3)
    for sample in range(7):
        for joint in range(21):
            for row in range(3):
                for column in range(3):
                    product = deviations[sample, joint, row] * deviations[sample, joint, column]
                    expected[joint, row, column] += weights[0, sample] * product
    torch.testing.assert_close(weighted_covariance(deviations[None], weights)[0], expected)
    torch.testing.assert_close(weighted_covariance(deviations[None, :, 4], weights)[0], expected[4])


@pytest.mark.parametrize("size", [0.0, 1e-6, 0.1, 2.0, 3.1])
def test_rotation_vectors_are_the_inverse_of_rotations(size):
    generator = torch.Generator().manual_seed(1)
    vectors = torch.nn.functional.normalize(
        torch.randn(6, 3, generator=generator, dtype=torch.float64), dim=-1
    )
    reference = orthogonalise(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    turned = rotation_from_vector(size * vectors) @ reference
    torch.testing.assert_close(rotation_vectors(turned, reference), size * vectors, rtol=0, atol=1e-7)
