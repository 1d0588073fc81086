"""MediaPipe's networks run by us, beside MediaPipe's own graph on the same pictures; and the crops they see."""

from __future__ import annotations

import sys
import zipfile
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.detection import random_pictures

from hand_pose_ros.detection.detector import DetectorUnavailableError
from hand_pose_ros.detection.mediapipe.crop import RotatedSquare
from hand_pose_ros.detection.mediapipe.detector import MediaPipeConfig, MediaPipeDetector
from hand_pose_ros.detection.mediapipe.landmarks import LandmarkNetwork
from hand_pose_ros.detection.mediapipe.models import TfliteNetwork, read_models
from hand_pose_ros.detection.mediapipe.palms import PalmDetector
from hand_pose_ros.rendering.clip import render_clip

_VIDEO = Path("sequences/dex_retargeting/example/vector_retargeting/data/human_hand_video.mp4")


@pytest.fixture(scope="module")
def networks():
    pytest.importorskip("mediapipe", reason="needs mediapipe <= 0.10.21, which carries the networks")
    pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert")
    try:
        models = read_models()
    except DetectorUnavailableError as error:
        pytest.skip(str(error))
    return PalmDetector(TfliteNetwork(models.palm, 1)), LandmarkNetwork(TfliteNetwork(models.landmarks, 1))


@pytest.fixture(scope="module")
def pictures():
    return [one.image for one in random_pictures(8, seed=5)]


def compare_with_the_graph(networks, images, least_found):
    palms, landmarks = networks
    found = 0
    with closing(MediaPipeDetector(MediaPipeConfig(tracking=False, max_hands=1))) as graph:
        for image in images:
            expected, palm = graph.detect(image), palms.find(image)
            if not expected:
                continue
            found += 1
            square = RotatedSquare.around_palm(palm[0].box_px, palm[0].keypoints_px)
            answer = landmarks.find(image, square)
            np.testing.assert_allclose(answer.landmarks_px, expected[0].landmarks_px, atol=0.2)
            np.testing.assert_allclose(answer.world_m, expected[0].landmarks_m, atol=1e-3)
            right = expected[0].score if expected[0].side == "right" else 1 - expected[0].score
            assert answer.right == pytest.approx(right, abs=0.01)
            assert answer.presence > 0.5
    assert found >= least_found


def test_renders_agree_with_the_graph(networks, pictures):
    """Palm detector, its decoding, the crop and the landmarks: a picture searched anew (measured: 0.03 px)."""
    compare_with_the_graph(networks, pictures, 7)


def test_a_turned_hand_at_the_border_agrees_with_the_graph(networks, pictures):
    turned = [np.ascontiguousarray(np.rot90(image)) for image in pictures[:3]]
    cut = [image[:, 200:] for image in pictures[3:6]]
    compare_with_the_graph(networks, turned + cut, 3)


def test_a_real_video_agrees_with_the_graph_in_tracking(networks, shared_data):
    """The crop from the landmarks of the frame before: errors may add up along the video (measured: 0.4 px)."""
    if not (shared_data / _VIDEO).is_file():
        pytest.skip(f"needs {shared_data / _VIDEO}")
    palms, landmarks = networks
    video = cv2.VideoCapture(str(shared_data / _VIDEO))
    last = None
    with closing(MediaPipeDetector(MediaPipeConfig(max_hands=1))) as graph:
        for _ in range(30):
            _, image = video.read()
            (expected,) = graph.detect(image)
            if last is None:
                (palm,) = palms.find(image)
                square = RotatedSquare.around_palm(palm.box_px, palm.keypoints_px)
            else:
                square = RotatedSquare.around_landmarks(last)
            last = landmarks.find(image, square).landmarks_px
            assert np.linalg.norm(last - expected.landmarks_px, axis=1).max() < 2
    video.release()


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


def test_missing_and_broken_models_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"no model file .*absent\.task"):
        read_models(str(tmp_path / "absent.task"))
    broken = tmp_path / "broken.task"
    broken.write_bytes(b"not a model")
    with pytest.raises(ValueError, match=r"cannot use .*broken\.task as a hand landmarker"):
        read_models(str(broken))
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("other", b"")
    with pytest.raises(ValueError, match="hand_detector"):
        read_models(str(broken))
    with pytest.raises(ValueError, match="model_complexity must be 0 or 1, got 2"):
        read_models(model_complexity=2)
    monkeypatch.setattr("hand_pose_ros.detection.mediapipe.models.find_spec", lambda name: None)
    with pytest.raises(DetectorUnavailableError, match=r"pip install --no-deps 'mediapipe<0\.10\.22'"):
        read_models()


def test_without_litert_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(DetectorUnavailableError, match=r"install ai-edge-litert==2\.3\.0"):
        TfliteNetwork(b"")
