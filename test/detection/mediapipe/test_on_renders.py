"""A real detector on rendered hands: MediaPipe must find them, on the right side and near the true joints."""

import logging

import numpy as np
import pytest
import torch

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.rendering.background import room_background
from hand_pose_ros.rendering.clip import render_clip
from hand_pose_ros.rendering.renderer import Rendering, render
from hand_pose_ros.rendering.views import random_hand

logger = logging.getLogger(__name__)
CAMERA = CameraModel.from_fov(640, 480, np.deg2rad(60))


@pytest.fixture(scope="module")
def detector():
    mediapipe = pytest.importorskip("mediapipe", reason="needs mediapipe <= 0.10.21")
    if not hasattr(mediapipe, "solutions"):
        pytest.skip("needs mediapipe <= 0.10.21, the last version that carries its hand model")
    with mediapipe.solutions.hands.Hands(
        static_image_mode=True, model_complexity=1, max_num_hands=1
    ) as hands:
        yield hands


def detect(detector, image: np.ndarray) -> tuple[str, np.ndarray] | None:
    """Side and (21, 2) pixels, or None. MediaPipe names the sides as a mirrored selfie shows them."""
    found = detector.process(np.ascontiguousarray(image[:, :, ::-1]))
    if not found.multi_hand_landmarks:
        return None
    landmarks = [(mark.x, mark.y) for mark in found.multi_hand_landmarks[0].landmark]
    label = found.multi_handedness[0].classification[0].label
    pixels = np.array(landmarks) * (image.shape[1], image.shape[0])
    return {"Left": "right", "Right": "left"}[label], pixels


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
