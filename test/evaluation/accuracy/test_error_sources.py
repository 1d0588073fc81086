"""Parts of an estimate are replaced by the truth: each repair must remove its own error, and only that."""

import numpy as np
import pytest
import torch

from hand_pose_ros.estimator.ik import IkEstimator, IkEstimatorConfig
from hand_pose_ros.evaluation.accuracy.error_sources import (
    error_sources,
    placed,
    with_true_depths,
    with_true_points,
)
from hand_pose_ros.evaluation.accuracy.keypoint_sets import generated_hands, observations_of
from hand_pose_ros.evaluation.methods import Prediction, detector_3d, estimator_method
from hand_pose_ros.rotations import rotation_from_vector


@pytest.fixture(scope="module")
def observations():
    """Hands of both sides whose detections are exact."""
    hands = observations_of(generated_hands(6, seed=11))
    return [with_true_depths(with_true_points(one)) for one in hands]


@pytest.fixture(scope="module")
def truth(observations):
    return np.stack([one.joints_m for one in observations])


def constant(joints):
    """The method that always gives these joints."""
    return lambda _observations: Prediction.of_joints(joints)


def test_the_true_shape_is_placed_where_it_is(observations, truth):
    relative = truth - truth[:, :1]
    relative[0, 3] = np.nan
    joints = placed(relative, observations)
    np.testing.assert_allclose(joints[1:], truth[1:], atol=1e-6)
    np.testing.assert_allclose(joints[0, 4:], truth[0, 4:], atol=1e-6)
    relative[2] = np.nan
    joints = placed(relative, observations)
    assert np.isnan(joints[2]).all()
    np.testing.assert_allclose(joints[3:], truth[3:], atol=1e-6)


def test_exact_input_is_that_of_the_truth(observations, truth):
    for one in observations:
        np.testing.assert_array_equal(one.detection.landmarks_px, one.points_px)
    relative = detector_3d(observations).joints_m
    np.testing.assert_allclose(relative - relative[:, :1], truth - truth[:, :1], atol=1e-9)


def test_unlabelled_joints_keep_what_was_detected(observations):
    one = observations[0]
    labels, points = one.joints_m.copy(), one.points_px.copy()
    labels[7], points[7] = np.nan, np.nan
    unlabelled = type(one)(one.image, one.camera, one.detection, labels, points)
    np.testing.assert_array_equal(
        with_true_points(unlabelled).detection.landmarks_px, one.detection.landmarks_px
    )
    found = with_true_depths(unlabelled).detection.landmarks_m
    np.testing.assert_allclose(
        found[7] - found[0], one.detection.landmarks_m[7] - one.detection.landmarks_m[0]
    )


@pytest.mark.parametrize("part", ["size", "rotation", "distance of the wrist"])
def test_a_wrong_part_is_mended_by_its_own_truth(observations, truth, part):
    wrist = truth[:, :1]
    turn = rotation_from_vector(torch.tensor([0.18, 0.0, 0.24], dtype=torch.float64)).numpy()
    wrong = {
        "size": 1.1 * truth,
        "rotation": (truth - wrist) @ turn.T + wrist,
        "distance of the wrist": truth + 0.07 * wrist,
    }[part]
    rows = error_sources(observations, constant(wrong))
    assert rows["nothing"]["absolute mm"] > 5
    assert rows[part]["absolute mm"] == pytest.approx(0, abs=1e-3)
    assert rows[part]["root-relative mm"] == pytest.approx(0, abs=1e-3)
    other = "distance of the wrist" if part == "size" else "size"
    assert rows[other]["absolute mm"] > 1
    assert rows["rotation, size and shape"]["absolute mm"] == pytest.approx(0, abs=1e-3)


def test_true_input_reaches_the_estimator():
    hands = observations_of(generated_hands(4, seed=12))
    config = IkEstimatorConfig(landmark_noise_m=1e-3, landmark_noise=1e-3)
    rows = error_sources(hands, estimator_method(IkEstimator(config)))
    assert set(next(iter(rows.values()))) >= {"PA-MPJPE mm", "root-relative mm", "absolute mm"}
    assert rows["image points and depths"]["PA-MPJPE mm"] < 0.5 * rows["nothing"]["PA-MPJPE mm"]


def test_a_hand_without_an_estimate_is_in_no_figure(observations, truth):
    joints = 1.1 * truth
    joints[1] = np.nan
    rows = error_sources(observations, constant(joints))
    some = error_sources([observations[0], *observations[2:]], constant(np.delete(joints, 1, axis=0)))
    for part, row in some.items():
        if part != "rotation, size and shape":
            assert rows[part] == pytest.approx(row)
