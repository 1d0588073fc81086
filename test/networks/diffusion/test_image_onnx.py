"""The exported image network: onnxruntime gives the results of PyTorch, for every condition of a hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from helpers.diffusion import random_condition, random_network
from helpers.image_networks import small_network

from hand_pose_ros.estimator.diffusion.backends import load_denoiser, takes_images
from hand_pose_ros.estimator.diffusion.onnx_denoiser import OnnxDenoiser
from hand_pose_ros.networks.diffusion.onnx import METADATA_FILE, export_onnx, graphs_of, main
from hand_pose_ros.networks.diffusion.sampling import antithetic_noise, sample_joints
from hand_pose_ros.networks.registry import IMAGE_HAND_DIFFUSION
from hand_pose_ros.networks.weights import save_weights

BACKENDS = ("torch", "compiled", "onnxruntime")


@pytest.fixture(scope="module")
def model():
    return small_network()


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    export_onnx(model, folder)
    return folder


@pytest.fixture(scope="module")
def weights(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "image.safetensors"
    save_weights(path, model, IMAGE_HAND_DIFFUSION, model.config.to_dict())
    return path


def crops(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 64, 64, 3), np.uint8)


def assert_same(actual, expected, tolerance=5e-5):
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=tolerance)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_onnxruntime_encodes_crops_as_pytorch(model, folder, count):
    denoiser = OnnxDenoiser(folder)
    assert denoiser.crops == model.crops
    extent = torch.linspace(0.1, 0.4, count)
    seen, condition = denoiser.encode_crops(crops(count), extent)
    expected, expected_condition = model.encode_crops(crops(count), extent)
    assert_same((*seen, condition), (*expected, expected_condition), 2e-4)


@pytest.mark.parametrize("given", ["image", "keypoints", "both"])
@pytest.mark.parametrize("count", [1, 4])  # other numbers than that of the export's example
def test_onnxruntime_estimates_what_pytorch_estimates(model, folder, given, count):
    denoiser = OnnxDenoiser(folder)
    _, image = model.encode_crops(crops(count), torch.full((count,), 0.3))
    image[2:3] = torch.nan
    conditions = {"image": (None, image), "keypoints": (random_condition(count), None)}
    conditions["both"] = (random_condition(count), image)
    encoded, expected = (network.encode(*conditions[given]) for network in (denoiser, model))
    assert_same(encoded, expected)
    noise = antithetic_noise(4, torch.Generator().manual_seed(0))
    samples = [sample_joints(network, expected, noise, 2) for network in (denoiser, model)]
    assert_same(samples[:1], samples[1:], 2e-4)
    fitted, expected_fit = (
        network.fit(samples[1].flatten(0, 1), expected.repeat(4)) for network in (denoiser, model)
    )
    assert_same(fitted, expected_fit, 2e-4)


def test_every_backend_reads_the_weight_file_and_encodes_crops(model, weights, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    extent = torch.tensor([0.2, 0.3])
    expected, condition = model.encode_crops(crops(2), extent)
    for backend in BACKENDS:
        denoiser, spread_scale = load_denoiser(weights, backend, "cpu")
        assert takes_images(denoiser)
        assert spread_scale == 1.25
        seen, also = denoiser.encode_crops(crops(2), extent)
        assert_same((*seen, also), (*expected, condition), 2e-4)


def test_a_network_of_keypoints_does_not_encode_crops(tmp_path):
    export_onnx(random_network(), tmp_path)
    denoiser = OnnxDenoiser(tmp_path)
    assert not takes_images(denoiser)
    assert not takes_images(random_network())
    with pytest.raises(ValueError, match="without image features"):
        denoiser.encode_crops(crops(1), torch.ones(1))


def test_the_command_exports_both_kinds(weights, tmp_path, capsys):
    assert main(["--weights", str(weights), "--output", str(tmp_path / "out")]) == 0
    assert "image" in capsys.readouterr().out
    metadata = json.loads((tmp_path / "out" / METADATA_FILE).read_text())
    assert metadata["kind"] == IMAGE_HAND_DIFFUSION
    assert metadata["sha256"].keys() == set(graphs_of(IMAGE_HAND_DIFFUSION))
    (tmp_path / "out/image.onnx").write_bytes(b"something else")
    with pytest.raises(ValueError, match="damaged"):
        OnnxDenoiser(tmp_path / "out")
