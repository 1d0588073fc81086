"""Landmarks, depths and errors that a 2.5D network reads become the condition of the diffusion estimator."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.diffusion import random_network
from helpers.heatmap import CAMERA, PerfectNetwork, detection_of, frame_of, known_hands, neutral_weights

from hand_pose_ros import hand
from hand_pose_ros.detection.own.follower import HeatmapFollower, read_again
from hand_pose_ros.detection.own.landmarks import HeatmapLandmarks
from hand_pose_ros.estimator import landmark_reading
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimator, DiffusionEstimatorConfig
from hand_pose_ros.estimator.landmark_reading import load_heatmap_landmarks, read_depths, read_errors
from hand_pose_ros.networks.condition import unknown_keypoints
from hand_pose_ros.networks.heatmap.config import HeatmapConfig

CONFIG = HeatmapConfig(variant="fast", image_size=32, presence=True)
OPTIONS = DiffusionEstimatorConfig(samples=4)


@pytest.fixture
def given():
    joints = known_hands(1)
    network = PerfectNetwork(CAMERA, joints, ["right"], config=CONFIG, hand=(0.9, 0.8), log_sigma=-4.0)
    rough = detection_of(CAMERA, joints[0], "right")
    noise = np.random.default_rng(0).normal(0, 1, (21, 2))
    return HeatmapLandmarks(network), replace(rough, landmarks_px=rough.landmarks_px + noise), network


def test_the_estimator_reads_the_landmarks_of_a_detector_that_did_not(given):
    landmarks, rough, network = given
    frame = frame_of(CAMERA, 0)
    model = random_network()
    reading = DiffusionEstimator(model, config=OPTIONS, landmarks=landmarks)
    read = read_again(landmarks, frame, rough)
    calls = len(network.images)
    outcome = reading.estimate(frame, [rough])
    assert len(network.images) == calls + 2
    np.testing.assert_array_equal(outcome.detections[0].landmarks_px, read.landmarks_px)
    again = reading.estimate(frame, [read])
    assert len(network.images) == calls + 2, "a hand that was read is not read again"
    torch.testing.assert_close(outcome.hands.joints, again.hands.joints)
    torch.testing.assert_close(outcome.landmark_error[0], torch.from_numpy(read.read.error).float())
    without = DiffusionEstimator(model, config=replace(OPTIONS, landmark_errors=False), landmarks=landmarks)
    assert without.estimate(frame, [rough]).landmark_error is None


def test_hands_are_followed_by_what_reads_them(given):
    landmarks, _, _ = given
    reading = DiffusionEstimator(random_network(), config=OPTIONS, landmarks=landmarks)
    other = object()
    assert isinstance(reading.finder(other), HeatmapFollower)
    assert reading.finder(landmarks) is landmarks
    assert DiffusionEstimator(random_network(), config=OPTIONS).finder(other) is other


def test_rows_that_nobody_read_stay(given):
    landmarks, rough, _ = given
    read = read_again(landmarks, frame_of(CAMERA, 0), rough)
    depth = torch.full((3, hand.NUM_JOINTS), 7.0)
    condition = unknown_keypoints(torch.ones(3))._replace(depth=depth)
    changed = read_depths(condition, [rough, read, rough])
    torch.testing.assert_close(changed.depth[1], torch.from_numpy(read.read.depth).float())
    assert (changed.depth[[0, 2]] == 7).all()
    assert read_depths(condition, [rough] * 3) is condition
    errors = read_errors(None, [rough, read])
    assert errors[0].isnan().all()
    torch.testing.assert_close(errors[1], torch.from_numpy(read.read.error).float())
    told = torch.full((2, hand.NUM_JOINTS), 0.3)
    assert (read_errors(told, [rough, read])[0] == 0.3).all()
    assert read_errors(told, [rough, rough]) is told
    assert read_errors(None, [rough]) is None


def test_weights_that_are_missing_or_without_presence_are_said(tmp_path, monkeypatch, caplog):
    def nothing(_kind):
        raise FileNotFoundError("no such weights")

    monkeypatch.setattr(landmark_reading, "shipped_weights", nothing)
    with caplog.at_level(logging.WARNING):
        assert load_heatmap_landmarks("", "torch", "cpu") is None
    assert "no such weights" in caplog.text
    with pytest.raises(ValueError, match="states whether a crop shows a hand"):
        load_heatmap_landmarks(str(neutral_weights(tmp_path / "w.safetensors")), "torch", "cpu")
