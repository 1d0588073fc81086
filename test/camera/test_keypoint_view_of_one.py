"""The view of one hand in NumPy is that of the batched one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from helpers.diffusion import hands_m

from hand_pose_ros.camera.keypoint_view import view_keypoints
from hand_pose_ros.camera.keypoint_view_of_one import view_keypoints_of_one
from hand_pose_ros.rotations import rotation_from_vector


def assert_same(rays: torch.Tensor) -> None:
    expected, found = view_keypoints(rays), view_keypoints_of_one(rays.numpy())
    np.testing.assert_allclose(found.rotation, expected.rotation.numpy(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.half_extent, float(expected.half_extent), rtol=1e-12)
    np.testing.assert_allclose(found.points, expected.points.numpy(), rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    "turn", [(0.0, 0.0, 0.0), (0.0, 0.0, 2.5), (0.4, -0.6, 0.2), (1.2, 0.0, 0.0), (0.0, math.pi, 0.0)]
)
def test_it_is_the_batched_view(turn):
    rotation = rotation_from_vector(torch.tensor(turn, dtype=torch.float64))
    for rays in hands_m(6) @ rotation.mT:
        assert_same(rays)


@pytest.mark.parametrize(
    "missing",
    [[0], [5, 9, 13, 17], [0, 7, 8], list(range(1, 21)), list(range(20)), list(range(21)), [3, 4, 20]],
)
def test_missing_keypoints_count_alike(missing):
    for rays in hands_m(4):
        rays[missing] = torch.nan
        assert_same(rays)


def test_degenerate_keypoints_give_the_same():
    same = torch.ones(21, 3, dtype=torch.float64)
    assert_same(same)
    assert_same(0 * same)
    flat = hands_m(1)[0]
    flat[[5, 9, 13, 17]] = flat[0].clone()
    assert_same(flat)
    around = torch.randn(21, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert_same(around)


def test_a_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"rays must have shape \(21, 3\)"):
        view_keypoints_of_one(np.zeros((1, 21, 3)))
