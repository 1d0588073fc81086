"""A real detector on rendered hands: MediaPipe must find them, on the right side and near the true joints."""

import logging
from contextlib import closing

import numpy as np
import pytest
import torch

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.detection.mediapipe.detector import MediaPipeConfig, MediaPipeDetector
from hand_pose_ros.rendering.background import room_background
from hand_pose_ros.rendering.clip import render_clip
from hand_pose_ros.rendering.renderer import Rendering, render
from hand_pose_ros.rendering.views import random_hand

logger = logging.getLogger(__name__)
CAMERA = CameraModel.from_fov(640, 480, np.deg2rad(60))


@pytest.fixture(scope="module")
def detector():
    with closing(MediaPipeDetector(MediaPipeConfig(max_hands=1))) as detector:
        yield detector


def detect(detector, image: np.ndarray) -> tuple[str, np.ndarray] | None:
    """Side and (21, 2) pixels, or None."""
    found = detector.detect(image)
    return (found[0].side, found[0].landmarks_px) if found else None


def random_pictures(count: int) -> list[Rendering]:
    generator = torch.Generator().manual_seed(0)
    return [
        render([random_hand(CAMERA, generator)], CAMERA, room_background(640, 480, seed))
        for seed in range(count)
    ]


def relative_error(pixels: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance over the joints, relative to the larger side of the hand's box."""
    return np.linalg.norm(pixels - truth, axis=1).mean() / np.ptp(truth, axis=0).max()


@pytest.mark.parametrize("count", [12, pytest.param(100, marks=pytest.mark.slow)])
def test_random_upright_hands_are_found(detector, count):
    pictures = random_pictures(count)
    truths = [picture.hands[0] for picture in pictures]
    found = [detect(detector, picture.image) for picture in pictures]
    detections = [(*one, truth) for one, truth in zip(found, truths, strict=True) if one]
    assert len(detections) >= 0.9 * count

    errors_px = [np.linalg.norm(px - truth.joints_px, axis=1).mean() for _, px, truth in detections]
    errors = [relative_error(px, truth.joints_px) for _, px, truth in detections]
    logger.info(
        "found %d of %d; error %.1f px mean, %.1f px median, %.1f %% of the hand",
        len(detections), count, np.mean(errors_px), np.median(errors_px), 100 * np.mean(errors),
    )  # fmt: skip
    assert np.median(errors) < 0.06
    assert np.mean([side == truth.side for side, _, truth in detections]) > 0.8


def test_the_clip_is_found_in_nearly_every_frame(detector):
    frames = list(render_clip(frame_rate_hz=3))
    found = [detect(detector, frame.rendering.image) for frame in frames]
    assert sum(one is not None for one in found) >= 0.95 * len(frames)
    errors = [
        relative_error(one[1], frame.rendering.hands[0].joints_px)
        for one, frame in zip(found, frames, strict=True)
        if one
    ]
    assert np.median(errors) < 0.05
