"""The heatmap estimator with a perfect network: hands where they are, of both sides, through any lens."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.frames import blank_frame
from helpers.hand_poses import assert_hand_within_limits
from helpers.heatmap import (
    CAMERA,
    DISTORTED,
    SIZE_M,
    PerfectNetwork,
    detection_of,
    frame_of,
    known_hands,
)

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import view_box, view_keypoints
from hand_pose_ros.camera.pixel_view import mirrored_rays
from hand_pose_ros.camera.scale import scale_from_mean_lengths
from hand_pose_ros.estimator.hand_size import POPULATION_SPREAD
from hand_pose_ros.estimator.heatmap.estimator import (
    CLOSED_FORM,
    LEAST_SQUARES,
    UNSOLVED,
    HeatmapEstimator,
    HeatmapEstimatorConfig,
)
from hand_pose_ros.estimator.placement import place
from hand_pose_ros.estimator.temporal.smoother import TemporalConfig
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.pose import Detection
from hand_pose_ros.rotations import rotation_from_vector

MOST_M = 0.001
CAMERAS = {"pinhole": CAMERA, "distorted": DISTORTED}
HANDS = 5  # grey values tell them apart


def posed(camera, joints, side="right", size_m: float | None = SIZE_M, config=None, **network):
    """Poses of single hands, by one estimator, and that estimator."""
    perfect = PerfectNetwork(camera, joints, [side] * len(joints), **network)
    estimator = HeatmapEstimator(perfect, config, size_m)
    estimates = [
        estimator.estimate(frame_of(camera, number), [detection_of(camera, one, side)])
        for number, one in enumerate(joints)
    ]
    return [place(one)[0] for one in estimates], estimator


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("side", hand.SIDES)
def test_a_perfect_network_gives_the_joints_where_they_are(camera, side):
    joints = known_hands(HANDS, side)
    poses, _ = posed(CAMERAS[camera], joints, side)
    for pose, truth in zip(poses, joints, strict=True):
        assert pose.valid, pose.reason
        assert np.linalg.norm(pose.joints_m - truth.numpy(), axis=1).max() < MOST_M


def test_without_a_size_the_hand_is_right_up_to_its_scale():
    """The scale is that of eq. 8, and the spread of adults' sizes is in the covariance along the ray."""
    joints = known_hands(HANDS)
    for pose, truth in zip(posed(DISTORTED, joints, size_m=None)[0], joints, strict=True):
        scale = pose.anchor_length_m / SIZE_M
        assert np.linalg.norm(pose.joints_m / scale - truth.numpy(), axis=1).max() < MOST_M
        assert float(scale_from_mean_lengths(torch.from_numpy(pose.joints_m))) == pytest.approx(1.0)
        wrist = pose.joints_m[hand.WRIST]
        distance = np.linalg.norm(wrist)
        along = wrist / distance
        assert np.sqrt(along @ pose.covariance_m2[hand.WRIST] @ along) >= POPULATION_SPREAD * distance
        assert abs(scale - 1) < 4 * POPULATION_SPREAD


def test_a_pose_is_a_hand_within_its_limits():
    joints = known_hands(HANDS, "left")
    for pose in posed(CAMERA, joints, "left", noise=(0.02, 0.1), log_sigma=-4.0)[0]:
        assert pose.valid
        assert_hand_within_limits(pose)


def test_without_limits_the_joints_are_the_network_s_own():
    joints = known_hands(HANDS)
    noise = {"noise": (0.01, 0.05), "log_sigma": -4.6}
    by_bone = HeatmapEstimatorConfig(root="closed_form")
    inside, _ = posed(CAMERA, joints, config=by_bone, **noise)
    outside, _ = posed(CAMERA, joints, config=replace(by_bone, limits=False), **noise)
    for one, other in zip(inside, outside, strict=True):
        np.testing.assert_array_equal(one.angles_rad, other.angles_rad)
        np.testing.assert_array_equal(one.rotations, other.rotations)
        anchor = np.linalg.norm(other.joints_m[hand.ANCHOR_JOINT] - other.joints_m[0])
        assert anchor == pytest.approx(SIZE_M)  # eq. 3 holds for the joints of eq. 7
        assert np.abs(one.joints_m - other.joints_m).max() > 0.001


def test_left_hands_are_read_as_right_ones_of_the_mirrored_image():
    (joints,) = known_hands(1)
    flipped = joints * torch.tensor((-1.0, 1.0, 1.0))
    random = np.random.default_rng(1)
    image = random.integers(30, 50, (CAMERA.height, CAMERA.width, 3), dtype=np.uint8)
    frame = replace(blank_frame(CAMERA), image_bgr=image)
    right = PerfectNetwork(CAMERA, joints[None], ["right"])
    left = PerfectNetwork(frame.mirrored().camera, flipped[None], ["left"])
    for network, one, side in ((right, joints, "right"), (left, flipped, "left")):
        where = frame if side == "right" else frame.mirrored()
        HeatmapEstimator(network).estimate(where, [detection_of(where.camera, one, side)])
    assert np.ptp(right.images[0].numpy()) > 0.02
    assert 0 <= float(right.images[0].min()) <= float(right.images[0].max()) < 0.25
    torch.testing.assert_close(left.images[0], right.images[0], atol=2 / 255, rtol=0)


def pointing_hands(turns_rad):
    """Mean hands 0.55 m away; at 0 the bone wrist -> index MCP points away along the wrist's ray."""
    wrist = torch.tensor((0.02, -0.03, 0.55), dtype=torch.float64)
    turns = torch.tensor(turns_rad, dtype=torch.float64)
    angles, proportions = angle_bounds(torch.float64).neutral, proportion_bounds(torch.float64).neutral
    neutral = forward_kinematics(angles, proportions).joints * SIZE_M
    source, target = (value / value.norm() for value in (neutral[hand.ANCHOR_JOINT], wrist))
    axis = torch.linalg.cross(source, target)
    onto = rotation_from_vector(axis / axis.norm() * torch.acos(source @ target))
    tipped = rotation_from_vector(torch.stack((turns, 0 * turns, 0 * turns), dim=-1))
    return neutral @ (tipped @ onto).mT + wrist


def test_least_squares_take_over_where_the_anchor_bone_points_at_the_camera():
    flat, pointing = pointing_hands([1.2, 1.6, 2.0]), pointing_hands([-0.02, 0.0, 0.03])
    config = HeatmapEstimatorConfig(root="closed_form")
    poses, estimator = posed(CAMERA, torch.cat((flat, pointing)), config=config)
    assert estimator.counts == {CLOSED_FORM: 3, LEAST_SQUARES: 3, UNSOLVED: 0}
    for pose, truth in zip(poses, torch.cat((flat, pointing)), strict=True):
        assert np.linalg.norm(pose.joints_m - truth.numpy(), axis=1).max() < 3 * MOST_M
    estimator.reset()
    assert estimator.counts[CLOSED_FORM] == 3
    _, of_all_bones = posed(CAMERA, torch.stack((flat[0], pointing[0])))
    assert of_all_bones.counts == {CLOSED_FORM: 0, LEAST_SQUARES: 2, UNSOLVED: 0}


def test_maps_that_are_not_finite_give_no_hand_but_a_reason():
    joints = known_hands(3)
    network = PerfectNetwork(CAMERA, joints, ["right"] * 3)
    read = network.read

    def broken(images):
        found = read(images)
        found.points[1, 4] = torch.nan
        found.log_sigma[2] = torch.inf
        return found

    network.read = broken
    estimator = HeatmapEstimator(network, hand_size_m=SIZE_M)
    found = [detection_of(CAMERA, one, "right") for one in joints]
    estimate = estimator.estimate(painted(found), found)
    poses = place(estimate)
    assert [pose.valid for pose in poses] == [True, False, False]
    assert poses[1].reason == poses[2].reason == "the network's maps are not finite"
    assert estimate.counts == estimator.counts == {CLOSED_FORM: 0, LEAST_SQUARES: 1, UNSOLVED: 2}
    network.read = lambda images: read(images)._replace(depth=torch.full((1, 21), torch.nan))
    (pose,) = place(estimator.estimate(frame_of(CAMERA, 0), found[:1]))
    assert not pose.valid
    (pose,) = place(estimator.estimate(frame_of(CAMERA, 0), [replace(found[0], landmarks_px=None)]))
    assert pose.reason == "the network's maps are not finite"


def painted(found):
    """A frame in which each hand's place shows its number; the first is the whole image."""
    frame = frame_of(CAMERA, 0)
    for number, one in enumerate(found):
        x, y = one.landmarks_px.mean(0).round().astype(int)
        frame.image_bgr[max(y - 40, 0) : y + 40, max(x - 40, 0) : x + 40] = 40 * (number + 1)
    return frame


def test_a_hand_of_which_only_the_box_is_known_is_looked_at_twice():
    (joints,) = known_hands(1, "left")
    found = detection_of(DISTORTED, joints, "left")
    x0, y0, x1, y1 = found.box_px
    corners = torch.tensor(((x0, y0), (x1, y0), (x1, y1), (x0, y1)), dtype=torch.float64)
    views = [
        view_box(mirrored_rays(DISTORTED, corners, "left")[None]),
        view_keypoints(mirrored_rays(DISTORTED, DISTORTED.project(joints), "left")[None]),
    ]
    network = PerfectNetwork(DISTORTED, joints[None], ["left"], views=views)
    estimator = HeatmapEstimator(network, hand_size_m=SIZE_M)
    (pose,) = place(estimator.estimate(frame_of(DISTORTED, 0), [replace(found, landmarks_px=None)]))
    assert len(network.images) == 2
    assert np.linalg.norm(pose.joints_m - joints.numpy(), axis=1).max() < MOST_M


def test_hands_that_cannot_be_looked_at_have_reasons_beside_those_that_can():
    joints = known_hands(1)
    good = detection_of(CAMERA, joints[0], "right")
    box = np.array((10.0, 10.0, 12.0, 12.0))
    few = Detection("left", 0.5, box, np.full((21, 2), np.nan))
    network = PerfectNetwork(CAMERA, joints, ["right"])
    poses = place(HeatmapEstimator(network).estimate(frame_of(CAMERA, 0), [few, good]))
    assert [pose.valid for pose in poses] == [False, True]
    assert "only 0 of 21" in poses[0].reason
    assert place(HeatmapEstimator(network).estimate(frame_of(CAMERA, 0), [])) == []
    assert "only 0" in place(HeatmapEstimator(network).estimate(frame_of(CAMERA, 0), [few]))[0].reason


def test_a_tracked_hand_starts_from_its_last_frame_and_ends_in_the_same_place():
    joints = known_hands(1)
    found = detection_of(CAMERA, joints[0], "right", track_id=4)
    estimator = HeatmapEstimator(PerfectNetwork(CAMERA, joints, ["right"]), hand_size_m=SIZE_M)
    cold, warm = (place(estimator.estimate(frame_of(CAMERA, 0), [found]))[0] for _ in range(2))
    np.testing.assert_allclose(warm.joints_m, cold.joints_m, atol=5e-4)
    np.testing.assert_array_equal(
        place(
            HeatmapEstimator(PerfectNetwork(CAMERA, joints, ["right"]), hand_size_m=SIZE_M).estimate(
                frame_of(CAMERA, 0), [found]
            )
        )[0].joints_m,
        cold.joints_m,
    )


@pytest.mark.slow
def test_the_covariance_states_the_errors_of_a_noisy_network():
    """Normalised squared errors, one in the mean if it is exact, of hands whose maps state their noise truly."""
    sigma = 0.02  # half extents of the crop; the depths' noise is twice that, in half extents of the hand
    noise = (sigma, 2 * 1.5 * sigma)
    log_sigma = math.log(sigma * math.sqrt(2 / math.pi))
    squared = []
    for seed in range(3):
        joints = known_hands(HANDS, seed=20 + seed)
        generator = torch.Generator().manual_seed(seed)
        poses, _ = posed(CAMERA, joints, noise=noise, log_sigma=log_sigma, generator=generator)
        for pose, truth in zip(poses, joints.numpy(), strict=True):
            assert pose.valid, pose.reason
            error = pose.joints_m - truth
            squared.append(np.einsum("ji,jik,jk->j", error, np.linalg.inv(pose.covariance_m2), error) / 3)
            assert np.isfinite(pose.wrist_covariance).all()
    assert 0.1 < np.mean(squared) < 1.5, np.mean(squared)
    assert 0.1 < np.mean(squared, axis=0)[hand.WRIST] < 2.0, np.mean(squared, axis=0)


def test_the_temporal_smoother_takes_the_hands_and_reduces_their_jitter():
    joints = known_hands(1)
    noise = {"noise": (0.01, 0.04), "log_sigma": -4.8}
    estimator = HeatmapEstimator(PerfectNetwork(CAMERA, joints, ["right"], **noise), hand_size_m=SIZE_M)
    smoother = TemporalConfig(backend="torch").create("cpu")
    alone, smooth = [], []
    found = detection_of(CAMERA, joints[0], "right", track_id=2)
    for number in range(12):
        time_s = number / 30
        estimate = estimator.estimate(frame_of(CAMERA, 0, time_s), [found])
        alone += place(estimate)
        smooth += place(smoother.smooth(estimate, time_s))
    assert all(pose.valid and np.isfinite(pose.covariance_m2).all() for pose in smooth)

    def jitter(poses):
        shapes = np.stack([pose.joints_m - pose.joints_m[0] for pose in poses])
        return np.linalg.norm(np.diff(shapes[6:], n=2, axis=0), axis=-1).mean()

    assert jitter(smooth) < 0.7 * jitter(alone), (jitter(smooth), jitter(alone))
