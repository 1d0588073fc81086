"""The hand detector keeps the contract of its maps, and agrees with its ONNX graph and in both backends."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from hand_pose_ros import hand
from hand_pose_ros.detection.mediapipe.network_files import read_stored
from hand_pose_ros.networks.hand_detector.config import HandDetectorConfig
from hand_pose_ros.networks.hand_detector.network import DetectorMaps, HandDetector
from hand_pose_ros.networks.hand_detector.onnx import GRAPH_OUTPUTS, export_hand_detector
from hand_pose_ros.networks.heatmap.landmark_encoder import (
    LANDMARK_FILE,
    LandmarkEncoder,
    start_from_landmarks,
)
from hand_pose_ros.networks.imported.network import import_network
from hand_pose_ros.networks.registry import HAND_DETECTOR, HAND_HEATMAP, load_network
from hand_pose_ros.networks.runtime.hand_detector import load_hand_detector
from hand_pose_ros.networks.weights import save_weights

SMALL = HandDetectorConfig(image_size=64, width=16)


@pytest.fixture
def network():
    torch.manual_seed(5)
    made = HandDetector(SMALL)
    with torch.no_grad():  # an untrained network would return the same everywhere
        for parameter in made.parameters():
            parameter.mul_(1.2)
    return made.eval().requires_grad_(False)


def images(count):
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(count))


def test_maps_keep_the_contract(network):
    maps = network(images(3))
    side = SMALL.map_size
    assert side == 8
    assert [tuple(one.shape) for one in maps] == [
        (3, 2, side, side), (3, 1, side, side), (3, 2 * hand.NUM_JOINTS, side, side)
    ]  # fmt: skip
    assert all(bool(one.isfinite().all()) for one in maps)


def test_a_batch_gives_the_same_as_single_images(network):
    given = images(3)
    together = network(given)
    for row in range(3):
        for batch, alone in zip(together, network(given[row : row + 1]), strict=True):
            torch.testing.assert_close(batch[row], alone[0], atol=1e-4, rtol=1e-4)


def test_the_graph_agrees(network, tmp_path):
    export_hand_detector(network, tmp_path / "graph.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "graph.onnx"), providers=["CPUExecutionProvider"])
    assert tuple(one.name for one in session.get_outputs()) == GRAPH_OUTPUTS == DetectorMaps._fields
    for count in (1, 4):
        given = images(count)
        for ours, theirs in zip(network(given), session.run(None, {"images": given.numpy()}), strict=True):
            np.testing.assert_allclose(ours.numpy(), np.asarray(theirs), atol=1e-4)


def test_both_backends_read_a_weight_file_alike(network, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "detector.safetensors"
    save_weights(path, network, HAND_DETECTOR, SMALL.to_dict())
    assert load_network(path, HAND_DETECTOR).config == SMALL
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    torch_maps, onnx_maps = (
        load_hand_detector(path, backend, "cpu").run(image) for backend in ("torch", "onnxruntime")
    )
    for one, other in zip(torch_maps, onnx_maps, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    # Colours arrive as RGB from 0 to 1.
    expected = network(torch.from_numpy(image[None, ..., ::-1].copy()).permute(0, 3, 1, 2) / 255)
    np.testing.assert_allclose(torch_maps[0], expected.heat[0].numpy(), atol=1e-5)


def test_weights_of_another_network_are_refused(network, tmp_path):
    path = tmp_path / "other.safetensors"
    save_weights(path, network, HAND_HEATMAP, SMALL.to_dict())
    with pytest.raises(ValueError, match="expected 'hand_detector'"):
        load_hand_detector(path, "torch", "cpu")


@pytest.mark.parametrize("bad", [{"image_size": 100}, {"image_size": 0}, {"width": 0}])
def test_impossible_sizes_are_refused(bad):
    with pytest.raises(ValueError, match="must"):
        HandDetectorConfig(**bad)


def test_the_first_blocks_may_start_from_the_landmark_network():
    imported = import_network(read_stored(LANDMARK_FILE))
    whole, part = LandmarkEncoder(), HandDetector(SMALL).encoder
    for encoder in (whole, part):
        start_from_landmarks(encoder.eval().requires_grad_(False), imported)
    given = images(1)
    assert part.channels == 80
    for ours, theirs in zip(part(given)[:3], whole(given)[:3], strict=True):
        torch.testing.assert_close(ours, theirs)
