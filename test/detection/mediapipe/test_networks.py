"""MediaPipe's networks and our code around them, against recorded answers of MediaPipe's graph; and their crops.

``data/graph_answers.json`` holds what the graph of MediaPipe 0.10.21 (``solutions``, full models, one hand)
answered to the images that this file makes: each searched by itself, and the clip's frames in its tracking mode.
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.detection import random_pictures

from hand_pose_ros.detection.mediapipe.crop import RotatedSquare
from hand_pose_ros.detection.mediapipe.landmarks import LandmarkNetwork
from hand_pose_ros.detection.mediapipe.network_files import read_networks
from hand_pose_ros.detection.mediapipe.palms import PalmDetector
from hand_pose_ros.networks.imported.backends import open_tflite
from hand_pose_ros.rendering.clip import render_clip

_ANSWERS = json.loads((Path(__file__).parent / "data" / "graph_answers.json").read_text())
# MediaPipe's graph cuts the crop with OpenCV 3, whose warpAffine rounds to 1/32 pixel as that of OpenCV 4 does;
# OpenCV 5 interpolates exactly (measured: 0.79 px, 1.64 mm, 0.017 of the side).
_ROUNDS_ALIKE = int(cv2.__version__.split(".")[0]) < 5
_TOLERANCE_PX = 0.2 if _ROUNDS_ALIKE else 1.0
_TOLERANCE_M = 1e-3 if _ROUNDS_ALIKE else 2e-3
_TOLERANCE_RIGHT = 0.01 if _ROUNDS_ALIKE else 0.03


@pytest.fixture(scope="module", params=["auto", "onnxruntime"])
def networks(request):
    stored = read_networks()
    palms, landmarks = (open_tflite(content, request.param, "cpu", 1) for content in stored)
    return PalmDetector(palms), LandmarkNetwork(landmarks)


@pytest.fixture(scope="module")
def pictures():
    return [one.image for one in random_pictures(8, seed=5)]


def compare_with_the_graph(networks, images, answers):
    palms, landmarks = networks
    for image, expected in zip(images, answers, strict=True):
        palm = palms.find(image)[0]
        found = landmarks.find(image, RotatedSquare.around_palm(palm.box_px, palm.keypoints_px))
        np.testing.assert_allclose(found.landmarks_px, expected["landmarks_px"], atol=_TOLERANCE_PX)
        np.testing.assert_allclose(found.world_m, expected["world_m"], atol=_TOLERANCE_M)
        assert found.right == pytest.approx(expected["right"], abs=_TOLERANCE_RIGHT)
        assert found.presence > 0.5


def test_renders_agree_with_the_graph(networks, pictures):
    """Palm detector, its decoding, the crop and the landmarks: each picture is searched (measured: 0.03 px)."""
    compare_with_the_graph(networks, pictures, _ANSWERS["pictures"])


def test_a_turned_hand_at_the_border_agrees_with_the_graph(networks, pictures):
    turned = [np.ascontiguousarray(np.rot90(image)) for image in pictures[:3]]
    cut = [image[:, 200:] for image in pictures[3:6]]
    compare_with_the_graph(networks, turned + cut, _ANSWERS["turned"] + _ANSWERS["cut"])


def test_a_video_agrees_with_the_graph_in_tracking(networks):
    """The crop from the landmarks of the frame before: errors may add up along the video."""
    palms, landmarks = networks
    last = None
    for frame, expected in zip(islice(render_clip(), 20), _ANSWERS["clip"], strict=True):
        image = frame.rendering.image
        if last is None:
            (palm,) = palms.find(image)
            square = RotatedSquare.around_palm(palm.box_px, palm.keypoints_px)
        else:
            square = RotatedSquare.around_landmarks(last)
        last = landmarks.find(image, square).landmarks_px
        assert np.linalg.norm(last - expected["landmarks_px"], axis=1).max() < 2


def test_an_image_without_a_hand_has_no_palm_and_no_presence(networks):
    palms, landmarks = networks
    image = np.full((240, 320, 3), 90, np.uint8)
    assert palms.find(image) == []
    assert landmarks.find(image, RotatedSquare(np.array((160.0, 120.0)), 150.0, 0.0)).presence < 0.5


def test_a_square_and_the_image_map_onto_each_other():
    """A dot drawn where the square says that its content comes from is found there in the content."""
    image = np.zeros((300, 400, 3), np.uint8)
    square = RotatedSquare(np.array((190.0, 160.0)), 120.0, 0.6)
    for shares in ((0.25, 0.3), (0.8, 0.5), (0.5, 0.9)):
        place = square.to_image(np.array(shares))
        image[:] = 0
        cv2.circle(image, tuple(np.round(place).astype(int).tolist()), 3, (0, 0, 255), -1)
        content = square.cut(image, 224)
        assert content.dtype == np.float32
        assert content[..., 1:].max() == 0  # red comes first
        rows, columns = np.nonzero(content[..., 0] > 0.5)
        np.testing.assert_allclose((columns.mean() / 224, rows.mean() / 224), shares, atol=0.01)


def test_the_square_turns_and_grows_with_the_hand():
    landmarks = next(render_clip()).rendering.hands[0].joints_px
    square = RotatedSquare.around_landmarks(landmarks)
    angle, scale, shift = 0.7, 1.5, np.array((30.0, -20.0))
    turn = np.array(((np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))))
    moved = RotatedSquare.around_landmarks(scale * landmarks @ turn.T + shift)
    assert moved.angle_rad == pytest.approx(square.angle_rad + angle)
    assert moved.side_px == pytest.approx(scale * square.side_px)
    np.testing.assert_allclose(moved.centre_px, scale * turn @ square.centre_px + shift, atol=1e-9)
