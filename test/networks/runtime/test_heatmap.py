"""Weight files of 2.5D networks: both backends read alike, and what is wrong with a file is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.heatmap import CAMERA, detection_of, frame_of, known_hands

from hand_pose_ros.estimator.heatmap.estimator import HeatmapEstimatorConfig
from hand_pose_ros.networks.heatmap.config import HeatmapConfig
from hand_pose_ros.networks.heatmap.network import HeatmapNetwork, network_images
from hand_pose_ros.networks.registry import HAND_DIFFUSION, HAND_HEATMAP, load_network, shipped_weights
from hand_pose_ros.networks.runtime.heatmap import load_heatmap_network
from hand_pose_ros.networks.weights import save_weights

VARIANTS = {
    "fast": HeatmapConfig(variant="fast", image_size=64, width=16),
    "presence": HeatmapConfig(variant="fast", image_size=64, width=16, presence=True),
    "latent": HeatmapConfig(variant="latent", image_size=32, width=8, levels=3, margin=1.7),
    "holistic": HeatmapConfig(variant="holistic", image_size=32, resnet_depth=18),
}


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Makes the weight file of a small network with random weights."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def make(config):
        torch.manual_seed(4)
        path = tmp_path / "heatmap.safetensors"
        save_weights(path, HeatmapNetwork(config).eval(), HAND_HEATMAP, config.to_dict())
        return path

    return make


@pytest.mark.parametrize(
    "variant", ["fast", "presence", "latent", pytest.param("holistic", marks=pytest.mark.slow)]
)
def test_both_backends_read_the_same(weights, variant):
    config = VARIANTS[variant]
    path = weights(config)
    crops = np.random.default_rng(0).integers(
        0, 256, (3, config.image_size, config.image_size, 3), dtype=np.uint8
    )
    networks = [load_heatmap_network(path, backend, "cpu") for backend in ("torch", "onnxruntime")]
    found = [network.read(network_images(crops)) for network in networks]
    for network in networks:
        assert network.config == config
    for name, one, other in zip(found[0]._fields, *found, strict=True):
        assert one.shape[:2] == ((3, 2) if name == "hand" else (3, 21))
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4, equal_nan=True)
    assert bool(found[0].hand.isfinite().all()) == config.presence


def test_images_are_rgb_from_0_to_1():
    crops = np.zeros((1, 2, 2, 3), np.uint8)
    crops[0, 0, 1] = 255, 51, 0
    images = network_images(crops)
    assert images.shape == (1, 3, 2, 2)
    torch.testing.assert_close(images[0, :, 0, 1], torch.tensor((0.0, 0.2, 1.0)))
    assert float(images.sum()) == pytest.approx(1.2)


@pytest.mark.parametrize("backend", ["torch", "onnxruntime"])
def test_the_estimator_of_random_weights_gives_a_hand_or_a_reason(weights, backend):
    config = HeatmapEstimatorConfig(weights=str(weights(VARIANTS["fast"])), backend=backend)
    estimator = config.create(0.09, "cpu")
    (joints,) = known_hands(1)
    estimate = estimator.estimate(frame_of(CAMERA, 0), [detection_of(CAMERA, joints, "right")])
    assert len(estimate.rows) + len(estimate.reasons) == 1
    assert sum(estimate.counts.values()) == 1


def test_without_a_file_the_shipped_network_is_loaded():
    shipped = load_network(shipped_weights(HAND_HEATMAP), HAND_HEATMAP).network
    crops = torch.rand(1, 3, shipped.config.image_size, shipped.config.image_size)
    for backend in ("torch", "onnxruntime"):
        network = load_heatmap_network("", backend, "cpu")
        torch.testing.assert_close(network.read(crops).points, shipped(crops).points, atol=1e-4, rtol=0)


def test_a_network_of_another_bone_is_refused(tmp_path):
    network = HeatmapNetwork(replace(VARIANTS["latent"], bone=9))
    path = tmp_path / "other.safetensors"
    save_weights(path, network, HAND_HEATMAP, network.config.to_dict())
    for backend in ("torch", "onnxruntime"):
        with pytest.raises(ValueError, match="lengths of bone 9"):
            load_heatmap_network(path, backend, "cpu")


def test_a_file_that_is_none_is_named(tmp_path):
    with pytest.raises(ValueError, match="/nowhere"):
        load_heatmap_network("/nowhere/heatmap.safetensors", "torch", "cpu")
    with pytest.raises(ValueError, match="/nowhere"):
        load_heatmap_network("/nowhere/heatmap.safetensors", "onnxruntime", "cpu")
    for backend in ("torch", "onnxruntime"):
        with pytest.raises(ValueError, match="hand_diffusion"):
            load_heatmap_network(shipped_weights(HAND_DIFFUSION), backend, "cpu")
    with pytest.raises(ValueError, match="backend must be one of"):
        load_heatmap_network(tmp_path, "tpu", "cpu")
