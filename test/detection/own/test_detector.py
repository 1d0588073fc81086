"""The own detector: its options, its search of single images, and that it opens no file of MediaPipe."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hand_pose_ros.detection.own.detector import OwnDetector, OwnDetectorConfig
from hand_pose_ros.networks.hand_detector.config import HandDetectorConfig
from hand_pose_ros.networks.hand_detector.network import HandDetector
from hand_pose_ros.networks.heatmap.config import HeatmapConfig
from hand_pose_ros.networks.heatmap.network import HeatmapNetwork
from hand_pose_ros.networks.registry import HAND_DETECTOR, HAND_HEATMAP
from hand_pose_ros.networks.weights import save_weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> dict[str, str]:
    """Weights of small networks that find a hand in every image: its joints in a row, and always present."""
    folder = tmp_path_factory.mktemp("own")
    torch.manual_seed(0)
    detector = HandDetector(HandDetectorConfig(image_size=64, width=16)).eval()
    landmarks = HeatmapNetwork(HeatmapConfig(variant="fast", image_size=64, width=16, presence=True)).eval()
    with torch.no_grad():
        detector.heat.bias.copy_(torch.tensor((-4.0, 1.0)))
        detector.log_size.bias.fill_(1.2)
        detector.points.bias.copy_(torch.linspace(-0.5, 0.5, 42))
        landmarks.presence.direct.bias.copy_(torch.tensor((3.0, 2.0)))
    paths = {"weights": folder / "detector.safetensors", "landmark_weights": folder / "landmarks.safetensors"}
    save_weights(paths["weights"], detector, HAND_DETECTOR, detector.config.to_dict())
    save_weights(paths["landmark_weights"], landmarks, HAND_HEATMAP, landmarks.config.to_dict())
    return {name: str(path) for name, path in paths.items()}


def test_single_images_are_searched(weights):
    detector = OwnDetector(OwnDetectorConfig(**weights, backend="torch", device="cpu", max_hands=1))
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    (found,) = detector.detect(image)
    assert found.side == "right"
    assert found.score > 0.7
    assert found.landmarks_px is not None
    detector.reset()
    (again,) = detector.detect(image)
    np.testing.assert_array_equal(again.landmarks_px, found.landmarks_px)
    detector.close()
    with pytest.raises(RuntimeError, match="closed"):
        detector.detect(image)


def test_no_hand_of_low_probability(weights):
    sure = OwnDetectorConfig(**weights, backend="torch", device="cpu", min_tracking_confidence=0.999)
    assert OwnDetector(sure).detect(np.zeros((64, 64, 3), np.uint8)) == []


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"max_hands": 0}, "max_hands"),
        ({"min_score": 2.0}, "min_score"),
        ({"backend": "tpu"}, "backend"),
        ({"box_margin": -1.0}, "box_margin"),
        ({"device": "moon"}, "device"),
        ({"min_tracking_confidence": 1.5}, "min_tracking_confidence"),
    ],
)
def test_impossible_options_are_refused(bad, message):
    with pytest.raises(ValueError, match=message):
        OwnDetectorConfig(**bad)


def test_missing_weights_are_named():
    with pytest.raises(ValueError, match="nowhere"):
        OwnDetector(OwnDetectorConfig(weights="/nowhere/detector.safetensors", backend="torch", device="cpu"))


_NO_MEDIAPIPE = """
import sys

opened = []

def watch(event, arguments):
    if event == "open" and str(arguments[0]).endswith((".tflite", ".task")):
        opened.append(arguments[0])

sys.addaudithook(watch)
import numpy as np
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.factory import PipelineConfig, create_pipeline
from hand_pose_ros.pose import Frame

options = {
    "detector": "own", "own.weights": sys.argv[1], "own.landmark_weights": sys.argv[2], "own.backend": "torch",
    "estimator": "heatmap", "heatmap.weights": sys.argv[2], "heatmap.backend": "torch", "device": "cpu",
}
pipeline = create_pipeline(PipelineConfig.from_flat(options))
camera = CameraModel.pinhole(160.0, 160.0, 79.5, 59.5, 160, 120)
image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
for number in range(2):
    result = pipeline.process(Frame(image, camera, number / 30))
assert result.detections, "no hand was detected"
assert not opened, opened
assert "mediapipe" not in sys.modules
"""


def test_no_file_of_mediapipe_is_opened(weights, tmp_path):
    environment = {"PATH": "/usr/bin", "HAND_POSE_DATA": str(tmp_path / "empty"), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", _NO_MEDIAPIPE, weights["weights"], weights["landmark_weights"]],
        env=environment, cwd=Path(__file__).resolve().parents[3], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
