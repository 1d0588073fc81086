"""The own landmark finder: exact landmarks of a perfect network, on either side, in 2D and in 3D."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.heatmap import CAMERA, DISTORTED, PerfectNetwork, frame_of, known_hands

from hand_pose_ros import hand
from hand_pose_ros.detection.finders import PALM_KEYPOINTS, Palm
from hand_pose_ros.detection.own.landmarks import NO_PRESENCE, HeatmapLandmarks
from hand_pose_ros.detection.relative_depth import relative_depth
from hand_pose_ros.networks.heatmap.config import HeatmapConfig

CONFIG = HeatmapConfig(variant="fast", image_size=32, presence=True)


def finder(joints, sides, camera=CAMERA, **values):
    values = {"hand": (0.9, 0.8), **values}
    network = PerfectNetwork(camera, joints, sides, config=CONFIG, **values)
    return HeatmapLandmarks(network), network


def palm_of(pixels, right):
    keypoints = pixels[list(PALM_KEYPOINTS)]
    box = np.concatenate((keypoints.min(0), keypoints.max(0)))
    return Palm(box, keypoints, 0.9, pixels, right)


@pytest.mark.parametrize("side", hand.SIDES)
@pytest.mark.parametrize("camera", [CAMERA, DISTORTED])
def test_a_hand_is_followed_where_it_is_expected(side, camera):
    joints = known_hands(3, side)
    landmarks, _ = finder(joints, [side] * 3, camera)
    for number in range(3):
        pixels = camera.project(joints[number]).numpy()
        found = landmarks.near(frame_of(camera, number), pixels, side)
        assert found is not None
        assert found.detection.side == side
        assert found.detection.score == pytest.approx(0.9)
        assert found.right == pytest.approx(0.8 if side == "right" else 0.2)
        np.testing.assert_allclose(found.detection.landmarks_px, pixels, atol=1e-3)
        low, high = pixels.min(0), pixels.max(0)
        assert (found.detection.box_px[:2] < low).all()
        assert (found.detection.box_px[2:] > high).all()


@pytest.mark.parametrize("side", hand.SIDES)
def test_landmarks_in_3d_are_those_of_a_camera_that_looks_at_the_hand(side):
    joints = known_hands(4, side)
    landmarks, _ = finder(joints, [side] * 4)
    for number, of_hand in enumerate(joints):
        pixels = CAMERA.project(of_hand).numpy()
        found = landmarks.near(frame_of(CAMERA, number), pixels, side)
        assert found is not None
        landmarks_m = found.detection.landmarks_m
        assert landmarks_m is not None
        anchor = np.linalg.norm(landmarks_m[hand.ANCHOR_JOINT] - landmarks_m[hand.WRIST])
        assert anchor == pytest.approx(hand.MEAN_ANCHOR_LENGTH_M, rel=1e-3)
        # All distances are those of the hand, and so is its chirality.
        scale = anchor / float((of_hand[hand.ANCHOR_JOINT] - of_hand[hand.WRIST]).norm())
        truth = (of_hand - of_hand[hand.WRIST]).numpy() * scale
        np.testing.assert_allclose(
            np.linalg.norm(landmarks_m[:, None] - landmarks_m, axis=-1),
            np.linalg.norm(truth[:, None] - truth, axis=-1),
            atol=1e-4,
        )
        rotation = np.linalg.lstsq(truth, landmarks_m, rcond=None)[0].T
        assert np.linalg.det(rotation) == pytest.approx(1, abs=1e-2)
        # The camera turns by the least angle that makes it look at the hand: an axis without z.
        assert abs(rotation[1, 0] - rotation[0, 1]) < 1e-2
        # The depths that estimators are given.
        depth = relative_depth(torch.from_numpy(landmarks_m)).numpy()
        assert np.isfinite(depth).all()


def test_a_new_hand_is_read_twice_and_on_the_side_that_it_shows():
    joints = known_hands(1, "left")
    pixels = CAMERA.project(joints[0]).numpy()
    landmarks, network = finder(joints, ["left"], hand=(0.9, 0.1))
    found = landmarks.in_palm(frame_of(CAMERA, 0), palm_of(pixels, right=0.7))
    assert found is not None
    assert len(network.images) == 2
    assert found.detection.side == "left"
    landmarks, network = finder(joints, ["left"], hand=(0.9, 0.6))
    found = landmarks.in_palm(frame_of(CAMERA, 0), palm_of(pixels, right=0.3))
    assert found is not None
    assert (found.detection.side, len(network.images)) == ("left", 2)
    np.testing.assert_allclose(found.detection.landmarks_px, pixels, atol=1e-3)


def test_no_hand_where_none_is_possible():
    joints = known_hands(1)
    landmarks, network = finder(joints, ["right"])
    frame = frame_of(CAMERA, 0)
    assert landmarks.near(frame, np.full((21, 2), np.nan), "right") is None
    pixels = CAMERA.project(joints[0]).numpy()
    network.noise = (float("nan"), 0.0)
    assert landmarks.near(frame, pixels, "right") is None
    assert landmarks.in_palm(frame, palm_of(pixels, 1.0)) is None


def test_what_the_finder_cannot_do_is_said():
    with pytest.raises(ValueError, match="presence"):
        HeatmapLandmarks(PerfectNetwork(CAMERA, known_hands(1), ["right"]))
    assert "config/training/heatmap/presence.yaml" in NO_PRESENCE
    landmarks, _ = finder(known_hands(1), ["right"])
    pixels = CAMERA.project(known_hands(1)[0]).numpy()
    with pytest.raises(ValueError, match="rough joints"):
        landmarks.in_palm(frame_of(CAMERA, 0), palm_of(pixels, 1.0)._replace(joints_px=None))


def test_uncertain_joints_have_low_scores():
    joints = known_hands(1)
    pixels = CAMERA.project(joints[0]).numpy()
    scores = []
    for log_sigma in (-5.0, -1.0):
        landmarks, _ = finder(joints, ["right"], log_sigma=log_sigma)
        found = landmarks.near(frame_of(CAMERA, 0), pixels, "right")
        assert found is not None
        assert found.detection.landmark_scores is not None
        scores.append(found.detection.landmark_scores)
    assert (scores[0] > 0.9).all()
    assert (scores[1] < 0.25).all()


def test_a_new_hand_must_be_likelier_than_a_followed_one():
    joints = known_hands(1)
    pixels, frame = CAMERA.project(joints[0]).numpy(), frame_of(CAMERA, 0)
    for presence, is_new in ((0.75, True), (0.6, False)):
        network = PerfectNetwork(CAMERA, joints, ["right"], config=CONFIG, hand=(presence, 0.8))
        landmarks = HeatmapLandmarks(network, min_presence=0.7)
        assert (landmarks.in_palm(frame, palm_of(pixels, 0.9)) is not None) == is_new
        followed = landmarks.near(frame, pixels, "right")
        assert followed is not None
        assert followed.detection.score == pytest.approx(presence)
