"""The inverse kinematics estimator: exact landmarks give the hand, useless ones an invalid pose with a reason."""

import dataclasses

import numpy as np
import pytest
import torch
from helpers.frames import blank_frame
from helpers.frames import poses as poses_of
from helpers.hand_poses import assert_hand_within_limits
from helpers.hands import random_hands

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.estimator.ik import IkEstimator, IkEstimatorConfig
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds
from hand_pose_ros.pose import Detection

CAMERA = CameraModel(640, 480, 600.0, 605.0, 322.0, 238.0, "plumb_bob", (-0.1, 0.02, 1e-3, 0.0, 0.0))
FRAME = blank_frame(CAMERA)
SIZE_M = 0.09


def hands_of(side, count=8):
    """Exact hands of a known size within the camera's view, and their detections."""
    hands = random_hands(count, seed=11)
    bounds = angle_bounds(torch.float64)
    angles = torch.lerp(bounds.neutral, hands.angles, 0.4)
    position = hands.root_position * torch.tensor([0.5, 0.5, 1.0], dtype=torch.float64)
    joints = forward_kinematics(angles, hands.proportions, hands.root_rotation, position, SIZE_M, side).joints
    return joints.numpy(), [detection_of(one, side) for one in joints]


def detection_of(joints, side):
    pixels = CAMERA.project(joints).numpy()
    box = np.concatenate([pixels.min(0), pixels.max(0)])
    # A detector's 3D landmarks have a size and an origin of their own.
    relative = 1.2 * (joints - joints.mean(0)).numpy()
    return Detection(side, 0.9, box, pixels, relative)


@pytest.mark.parametrize("side", hand.SIDES)
def test_exact_landmarks_give_the_hand_where_it_is(side):
    truth, detections = hands_of(side)
    poses = poses_of(IkEstimator(IkEstimatorConfig(hand_size_m=SIZE_M)), FRAME, detections)
    errors = [
        np.linalg.norm(pose.joints_m - joints, axis=1) for pose, joints in zip(poses, truth, strict=True)
    ]
    assert np.mean(errors) < 0.04
    # The image points are exact and trusted most: the hand lies on their rays.
    for pose, detection in zip(poses, detections, strict=True):
        assert pose.valid
        assert pose.side == side
        pixels = CAMERA.project(torch.from_numpy(pose.joints_m)).numpy()
        extent = np.ptp(detection.landmarks_px, axis=0).max()
        assert np.linalg.norm(pixels - detection.landmarks_px, axis=1).mean() < 0.02 * extent


def test_what_leaves_is_a_hand_within_its_limits():
    _, detections = hands_of("left")
    for pose in poses_of(IkEstimator(), FRAME, detections):
        assert_hand_within_limits(pose)
        assert np.isnan(pose.covariance_m2).all()
        assert np.isnan(pose.wrist_covariance).all()


def test_a_larger_hand_is_farther_away():
    _, detections = hands_of("right")
    small = poses_of(IkEstimator(IkEstimatorConfig(hand_size_m=0.08)), FRAME, detections)
    large = poses_of(IkEstimator(IkEstimatorConfig(hand_size_m=0.10)), FRAME, detections)
    ratios = [b.joints_m[0, 2] / a.joints_m[0, 2] for a, b in zip(small, large, strict=True)]
    np.testing.assert_allclose(ratios, 1.25, rtol=0.1)


def test_poses_keep_the_order_of_detections_of_both_sides():
    _, left = hands_of("left", 2)
    _, right = hands_of("right", 2)
    detections = [right[0], left[0], left[1], right[1]]
    poses = poses_of(IkEstimator(), FRAME, detections)
    assert [pose.side for pose in poses] == ["right", "left", "left", "right"]
    alone = poses_of(IkEstimator(), FRAME, [left[1]])[0]
    np.testing.assert_allclose(poses[2].joints_m, alone.joints_m, atol=1e-4)


def test_no_detections_give_no_poses():
    assert poses_of(IkEstimator(), FRAME, []) == []


def test_landmarks_that_tell_nothing_give_an_invalid_pose_with_a_reason():
    _, (good, *_) = hands_of("right")
    box = good.box_px
    nowhere = np.full((21, 2), np.nan)
    collapsed = np.full((21, 3), 0.0)
    absurd = 1e9 * good.landmarks_m
    cases = {
        "no 3D landmarks": Detection("right", 0.9, box, good.landmarks_px),
        "only 0 of 21": Detection("right", 0.9, box, nowhere, good.landmarks_m),
        "": Detection("right", 0.9, box, good.landmarks_px, collapsed),
        " ": Detection("right", 0.9, box, good.landmarks_px, absurd),
    }
    poses = poses_of(IkEstimator(), FRAME, [good, *cases.values()])
    assert poses[0].valid
    for expected, pose in zip(cases, poses[1:], strict=True):
        if pose.valid:
            assert np.isfinite(pose.joints_m).all()
        else:
            assert expected.strip() in pose.reason
            assert np.isnan(pose.joints_m).all()
    assert [pose.valid for pose in poses[1:3]] == [False, False]


@pytest.mark.parametrize("name", ["hand_size_m", "landmark_noise_m", "landmark_noise"])
def test_sizes_and_noises_must_be_positive(name):
    with pytest.raises(ValueError, match=f"{name} must be (positive|at least 0.0001)"):
        IkEstimatorConfig(**{name: -1.0})


def test_a_tracked_hand_starts_from_its_last_frame_and_ends_in_the_same_place():
    _, detections = hands_of("left", 6)
    tracked = [dataclasses.replace(one, track_id=number) for number, one in enumerate(detections)]
    estimator = IkEstimator(IkEstimatorConfig(hand_size_m=SIZE_M))
    first = poses_of(estimator, FRAME, tracked)
    again = poses_of(estimator, FRAME, tracked)
    for cold, warm in zip(first, again, strict=True):
        np.testing.assert_allclose(warm.joints_m, cold.joints_m, atol=2e-3)


def test_a_track_that_jumps_to_another_hand_is_fitted_as_well_as_ever():
    _, detections = hands_of("right", 6)
    estimator = IkEstimator(IkEstimatorConfig(hand_size_m=SIZE_M))
    for one in detections:
        alone = poses_of(IkEstimator(IkEstimatorConfig(hand_size_m=SIZE_M)), FRAME, [one])[0]
        tracked = poses_of(estimator, FRAME, [dataclasses.replace(one, track_id=7)])[0]
        pixels = [CAMERA.project(torch.from_numpy(pose.joints_m)).numpy() for pose in (alone, tracked)]
        misses = [np.linalg.norm(found - one.landmarks_px, axis=1).mean() for found in pixels]
        assert misses[1] < misses[0] + 0.02 * np.ptp(one.landmarks_px, axis=0).max()
