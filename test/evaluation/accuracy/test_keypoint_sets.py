"""The fixed sets of keypoints: what an estimator is given of them, and their truth."""

import numpy as np
import pytest
import torch

from hand_pose_ros.estimator.keypoint_input import keypoint_input
from hand_pose_ros.evaluation.accuracy.keypoint_sets import (
    generated_hands,
    observations_of,
    read_dexycb,
    recorded_hands,
)

COUNT = 24


@pytest.fixture(scope="module")
def observed():
    return generated_hands(COUNT, seed=5)


@pytest.fixture(scope="module")
def observations(observed):
    return observations_of(observed)


def test_an_estimator_gets_the_simulated_condition(observed, observations):
    same_depth = 0
    for index, observation in enumerate(observations):
        view, condition = keypoint_input(observation.camera, observation.detection)
        torch.testing.assert_close(condition.points[0], observed.condition.points[index], atol=1e-4, rtol=0)
        torch.testing.assert_close(
            view.half_extent[0], observed.view.half_extent[index], atol=1e-5, rtol=1e-4
        )
        assert torch.equal(condition.inside[0], observed.condition.inside[index])
        depth = observed.condition.depth[index]
        # Where most of the palm is deeper than it can be, the landmarks have that depth in proportion only.
        unit = (condition.depth[0] * depth).sum() / depth.square().sum()
        assert unit <= 1 + 1e-5
        torch.testing.assert_close(condition.depth[0], unit * depth, atol=1e-3, rtol=0)
        same_depth += bool(unit > 1 - 1e-3)
    assert same_depth >= 0.8 * COUNT


def test_every_second_hand_is_a_left_one(observed, observations):
    true = (observed.joints + observed.wrist[:, None]) @ observed.view.rotation
    true = (true * observed.placed.anchor_length_m[:, None, None]).numpy()
    np.testing.assert_allclose(observations[0].joints_m, true[0], atol=1e-6)
    np.testing.assert_allclose(observations[1].joints_m, true[1] * (-1, 1, 1), atol=1e-6)
    assert [o.detection.side for o in observations[:4]] == ["right", "left", "right", "left"]


def test_truth_and_image_agree(observations):
    for observation in observations:
        projected = observation.camera.project(torch.from_numpy(observation.joints_m)).numpy()
        np.testing.assert_allclose(projected, observation.points_px, atol=1e-9)
        width, height = observation.camera.width, observation.camera.height
        x, y = observation.points_px.T
        inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
        np.testing.assert_array_equal(observation.outside, ~inside)
        assert not (observation.hidden & observation.outside).any()
        assert observation.image().shape == (height, width, 3)


def test_the_same_seed_gives_the_same_hands(observed):
    again = generated_hands(COUNT, seed=5)
    assert torch.equal(again.rays, observed.rays)
    assert not torch.equal(generated_hands(COUNT, seed=6).rays, observed.rays)


def test_recorded_hands_keep_their_shape_and_size(observed):
    joints = observed.joints.double() * torch.linspace(0.07, 0.1, COUNT)[:, None, None] + 0.4
    kept = recorded_hands(joints, seed=1)
    truth = np.stack([o.joints_m for o in observations_of(kept)])
    for mine, theirs in zip(truth, joints.numpy(), strict=True):
        distances = [np.linalg.norm(one[:, None] - one, axis=-1) for one in (mine, theirs)]
        np.testing.assert_allclose(*distances, atol=1e-6)


def test_poses_are_taken_evenly_from_the_sequences(tmp_path):
    sequence = np.repeat([3, 5, 9], [40, 10, 20])
    joints = np.random.default_rng(0).normal(size=(70, 21, 3))
    joints[:, 0, 0] = np.arange(70)
    np.savez(tmp_path / "poses.npz", xyz_mm=joints, seq=sequence)
    taken = read_dexycb(tmp_path / "poses.npz", 7)
    rows = (-1e3 * taken[:, 0, 0]).round().long().numpy()
    assert rows.tolist() == [0, 20, 39, 40, 49, 50, 69]
    np.testing.assert_allclose(taken[0, 1:, 1:].numpy(), joints[0, 1:, 1:] * 1e-3)
    with pytest.raises(ValueError, match="too few"):
        read_dexycb(tmp_path / "poses.npz", 60)
    with pytest.raises(ValueError, match="does not exist"):
        read_dexycb(tmp_path / "absent.npz", 1)


def test_another_file_is_refused(tmp_path):
    np.savez(tmp_path / "poses.npz", joints=np.zeros(3))
    with pytest.raises(ValueError, match="no array"):
        read_dexycb(tmp_path / "poses.npz", 1)
