"""The size from two calibrated views of the same joints."""

import numpy as np
import pytest
import torch
from helpers.scale_evidence import larger, open_pose

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.estimator.size.two_views import ratio_from_joints, triangulate
from hand_pose_ros.rotations import rotation_from_vector

FIRST = CameraModel.from_fov(640, 480, 1.0)
SECOND = CameraModel(800, 600, 700.0, 710.0, 390.0, 310.0, "plumb_bob", (0.05, -0.02, 0.0, 0.0, 0.0))
POSE = open_pose(0.085, (0.02, 0.05, 0.5))


@pytest.fixture
def T_first_second():  # noqa: N802 - the symbol of the transform
    transform = np.eye(4)
    transform[:3, :3] = rotation_from_vector(torch.tensor([0.05, -0.5, 0.1], dtype=torch.float64)).numpy()
    transform[:3, 3] = (0.3, -0.02, 0.05)
    return transform


def seen_by_second(joints_m, T_first_second):
    inverse = np.linalg.inv(T_first_second)
    return SECOND.project(torch.from_numpy(joints_m @ inverse[:3, :3].T + inverse[:3, 3])).numpy()


def test_exact_points_give_the_joints_and_the_size(T_first_second):
    points = FIRST.project(torch.from_numpy(POSE.joints_m)).numpy()
    other = seen_by_second(POSE.joints_m, T_first_second)
    points[3] = np.nan
    joints = triangulate(points, FIRST, other, SECOND, T_first_second)
    known = np.delete(np.arange(21), 3)
    np.testing.assert_allclose(joints[known], POSE.joints_m[known], atol=1e-5)
    assert np.isnan(joints[3]).all()
    ratio = ratio_from_joints(larger(POSE, 1 / 1.07), joints)
    assert ratio.value == pytest.approx(1.07, rel=1e-4)
    assert ratio.spread == pytest.approx(0.01, abs=1e-3)


def test_noise_shows_in_the_spread(T_first_second):
    rng = np.random.default_rng(3)
    points = FIRST.project(torch.from_numpy(POSE.joints_m)).numpy() + rng.normal(size=(21, 2))
    other = seen_by_second(POSE.joints_m, T_first_second) + rng.normal(size=(21, 2))
    ratio = ratio_from_joints(POSE, triangulate(points, FIRST, other, SECOND, T_first_second))
    assert ratio.spread > 0.012
    assert abs(ratio.value - 1) < 3 * ratio.spread


def test_views_of_different_hands_or_without_a_baseline_say_nothing(T_first_second):
    points = FIRST.project(torch.from_numpy(POSE.joints_m)).numpy()
    same = triangulate(points, FIRST, points, FIRST, np.eye(4))
    assert np.isnan(same).all()
    assert ratio_from_joints(POSE, same) is None
    other = seen_by_second(POSE.joints_m + (0.0, 0.3, 0.0), T_first_second)
    assert ratio_from_joints(POSE, triangulate(points, FIRST, other, SECOND, T_first_second)) is None
    with pytest.raises(ValueError, match=r"\(4, 4\)"):
        triangulate(points, FIRST, points, FIRST, np.eye(3))
