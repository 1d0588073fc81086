"""What the network is told of a detection, and when it is told nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.diffusion import CAMERA, detection, detections, hands_m

from hand_pose_ros.camera.mirroring import mirrored_camera
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.estimator.keypoint_input import MIN_KEYPOINTS, keypoint_input, why_not


def test_a_good_detection_has_no_reason_against_it():
    assert why_not(detections(1)[0], CAMERA) == ""


def test_a_condition_is_float32_with_a_leading_one():
    view, condition = keypoint_input(CAMERA, detections(1)[0])
    for value in (*view, *condition):
        assert value.shape[0] == 1
        assert value.dtype in (torch.float32, torch.bool)
    assert torch.equal(condition.points, view.points)
    assert condition.points.abs().max() <= 1
    assert condition.depth[0, 0] == 0


def test_a_left_hand_looks_like_the_right_one_in_the_mirror():
    camera = CameraModel(640, 480, 500.0, 500.0, 300.0, 250.0)
    flip = np.array([-1.0, 1.0, 1.0])
    for joints in hands_m(3):
        right = detection(joints, "right", camera)
        left = detection(joints * torch.from_numpy(flip), "left", mirrored_camera(camera))
        for one, other in zip(
            keypoint_input(camera, right)[1], keypoint_input(mirrored_camera(camera), left)[1], strict=True
        ):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5, equal_nan=True)


def test_points_off_the_image_are_marked():
    found = detections(1)[0]
    shifted = replace(found, landmarks_px=found.landmarks_px - found.landmarks_px[0])
    inside = keypoint_input(CAMERA, shifted)[1].inside[0].numpy()
    low, high = -0.5, np.array([639.5, 479.5])
    expected = ((shifted.landmarks_px >= low) & (shifted.landmarks_px <= high)).all(1)
    assert np.array_equal(inside, expected)
    assert not inside.all()


def test_without_3d_landmarks_depths_are_missing():
    found = replace(detections(1)[0], landmarks_m=None)
    assert keypoint_input(CAMERA, found)[1].depth.isnan().all()


def test_too_few_too_small_and_too_far():
    found = detections(1)[0]
    points = found.landmarks_px.copy()
    points[MIN_KEYPOINTS - 1 :] = np.nan
    assert "only 5 of 21 landmarks are known" in why_not(replace(found, landmarks_px=points), CAMERA)
    assert "px, too few" in why_not(replace(found, landmarks_px=found.landmarks_px * 0.001), CAMERA)
    assert "far outside" in why_not(replace(found, landmarks_px=found.landmarks_px + 1e4), CAMERA)
    assert why_not(replace(found, landmarks_px=None), CAMERA) == "the detector gives no landmarks"


def test_landmarks_all_around_the_camera_do_not_fit_into_one_view():
    camera = CameraModel.from_fov(640, 480, 3.0)
    generator = np.random.default_rng(0)
    points = generator.uniform((-3000, -3000), (3000, 3000), (21, 2))
    with pytest.raises(ValueError, match="not fit into one view"):
        keypoint_input(camera, replace(detections(1)[0], landmarks_px=points))
