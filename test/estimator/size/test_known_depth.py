"""The size from a depth image: rendered hands, seen at another size than they have."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.scale_evidence import larger, open_pose, rendered

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.estimator.size.known_depth import open_hand, placement_spread, ratio_from_depth
from hand_pose_ros.pose import HandMesh

CAMERA = CameraModel.from_fov(640, 480, 1.0)
PLACE = (0.02, 0.05, 0.5)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("factor", [0.9, 1.0, 1.08])
def test_the_ratio_of_the_sizes_is_found(side, factor):
    true = open_pose(0.085, PLACE, side)
    ratio = ratio_from_depth(larger(true, 1 / factor), CAMERA, rendered(CAMERA, 0.085, PLACE, side).depth_m)
    assert ratio is not None
    assert ratio.value == pytest.approx(factor, rel=0.003)


def test_a_mesh_of_another_template_changes_nothing():
    pose, depth = open_pose(0.085, PLACE), rendered(CAMERA, 0.085, PLACE).depth_m
    triangle = HandMesh(np.eye(3) + (0.0, 0.0, 0.5), np.array(((0, 1, 2),)), "mano")
    assert ratio_from_depth(replace(pose, mesh=triangle), CAMERA, depth) == ratio_from_depth(
        pose, CAMERA, depth
    )


def test_holes_noise_and_things_in_front_change_little():
    rng = np.random.default_rng(1)
    depth = rendered(CAMERA, 0.085, PLACE).depth_m.copy()
    depth *= 1 + 0.01 * rng.normal(size=depth.shape)
    depth[rng.random(depth.shape) < 0.4] = np.nan
    depth[rng.random(depth.shape) < 0.1] = 0.2
    ratio = ratio_from_depth(open_pose(0.085, PLACE), CAMERA, depth.astype(np.float32))
    assert ratio is not None
    assert ratio.value == pytest.approx(1.0, rel=0.01)


def test_a_depth_image_of_something_else_says_nothing():
    pose = open_pose(0.085, PLACE)
    assert ratio_from_depth(pose, CAMERA, np.full((480, 640), np.nan, np.float32)) is None
    rng = np.random.default_rng(1)
    scattered = rng.uniform(0.3, 3.0, (480, 640)).astype(np.float32)
    assert ratio_from_depth(pose, CAMERA, scattered) is None
    outside = open_pose(0.085, (1.0, 0.05, 0.5))
    assert ratio_from_depth(outside, CAMERA, rendered(CAMERA, 0.085, PLACE).depth_m) is None


def test_an_open_hand_is_told_from_a_fist():
    pose = open_pose(0.085, PLACE)
    assert open_hand(pose)
    fist = pose.angles_rad.copy()
    fist[:] = 1.3
    assert not open_hand(type(pose)(**{**vars(pose), "angles_rad": fist}))


def test_the_spread_of_the_placement_is_that_along_the_ray_without_the_size_s():
    pose = open_pose(0.085, (0.0, 0.0, 0.5))
    covariance = pose.covariance_m2.copy()
    covariance[0] = np.diag((1e-6, 1e-6, 0.5**2 * (0.065**2 + 0.03**2)))
    known = type(pose)(**{**vars(pose), "covariance_m2": covariance})
    assert placement_spread(known, 0.065) == pytest.approx(0.03)
    assert placement_spread(known, 0.2) == 0.0
    assert np.isnan(placement_spread(pose, 0.065))
