"""MediaPipe's networks give the same by LiteRT, onnxruntime and PyTorch; absent backends are named."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest
import torch
from helpers.detection import random_pictures

from hand_pose_ros.detection.mediapipe.network_files import read_networks
from hand_pose_ros.networks.imported.backends import (
    IMPORTED_BACKENDS,
    LiteRtNetwork,
    OnnxImageNetwork,
    TorchImageNetwork,
    exported_tflite,
    open_tflite,
)
from hand_pose_ros.networks.imported.network import import_network

_CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    """(480, 480, 3) float32 RGB in [0, 1], with hands."""
    return [one.image[:, 80:560, ::-1].astype(np.float32) / 255 for one in random_pictures(4, seed=9)]


@pytest.mark.parametrize("complexity", [0, 1])
@pytest.mark.parametrize("part", ["palm", "landmarks"])
def test_the_backends_agree(complexity, part, images):
    """Within 1e-4 of the outputs' size (landmarks are up to 224 pixels, the palm's boxes up to 192)."""
    pytest.importorskip("ai_edge_litert", reason="compares with LiteRT")
    content = getattr(read_networks(model_complexity=complexity), part)
    litert = LiteRtNetwork(content)
    others = [
        OnnxImageNetwork(exported_tflite(content), "cpu"),
        TorchImageNetwork(import_network(content), _CPU),
    ]
    side = litert.input_side_px
    for image in images:
        crop = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        expected = litert.run(crop)
        for other in others:
            assert other.input_side_px == side
            found = other.run(crop)
            assert [one.shape for one in found] == [one.shape for one in expected]
            for one, reference in zip(found, expected, strict=True):
                scale = max(1.0, float(np.abs(reference).max()))
                np.testing.assert_allclose(one, reference, atol=1e-4 * scale)


def test_a_batch_gives_what_single_images_give(images):
    network = import_network(read_networks().landmarks)
    crops = torch.stack([torch.from_numpy(cv2.resize(one, (224, 224))).permute(2, 0, 1) for one in images])
    together = network(crops)
    for row, crop in enumerate(crops):
        for batched, single in zip(together, network(crop[None]), strict=True):
            torch.testing.assert_close(batched[row], single[0], atol=1e-3, rtol=1e-4)


def test_the_weights_can_be_fine_tuned(images):
    network = import_network(read_networks(model_complexity=0).landmarks)
    crop = torch.from_numpy(cv2.resize(images[0], (224, 224))).permute(2, 0, 1)[None]
    target = network(crop)[0].detach() + 1
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-8)
    losses = []
    for _ in range(3):
        loss = (network(crop)[0] - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[2] < losses[1] < losses[0]
    assert all(one.grad is not None for one in network.operations[0].parameters())


def test_the_export_is_made_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    content = read_networks(model_complexity=0).landmarks
    path = exported_tflite(content)
    assert path.is_relative_to(tmp_path)
    written = path.stat().st_mtime_ns
    assert exported_tflite(content).stat().st_mtime_ns == written


def test_without_litert_onnxruntime_runs_the_networks(monkeypatch):
    content = read_networks(model_complexity=0).landmarks
    monkeypatch.setattr("hand_pose_ros.networks.imported.backends.find_spec", lambda name: None)
    assert isinstance(open_tflite(content, device="cpu"), OnnxImageNetwork)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(ImportError, match="install ai-edge-litert"):
        open_tflite(content, "litert", "cpu")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "tensorrt"}, "backend must be one of"),
        ({"device": "tpu"}, "device must be one of"),
        ({"backend": "litert", "device": "cuda"}, "LiteRT runs on the CPU only"),
    ],
)
def test_unknown_names_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        open_tflite(b"", **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
@pytest.mark.parametrize("backend", [one for one in IMPORTED_BACKENDS if one != "litert"])
def test_cuda_is_refused_where_there_is_none(backend):
    with pytest.raises(ValueError, match="CUDA"):
        open_tflite(read_networks(model_complexity=0).landmarks, backend, "cuda")
