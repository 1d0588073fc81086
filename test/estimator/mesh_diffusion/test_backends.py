"""Weight files of mesh networks: both backends draw alike, and what is wrong with a file is told."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.frames import blank_frame
from helpers.heatmap import CAMERA, SIZE_M
from helpers.mesh_estimator import known_meshes, seen_hand
from helpers.mesh_networks import small_mesh_network

from hand_pose_ros.estimator.mesh_diffusion.backends import load_mesh_network
from hand_pose_ros.estimator.mesh_diffusion.estimator import MeshDiffusionEstimatorConfig
from hand_pose_ros.estimator.placement import place
from hand_pose_ros.networks.mesh_diffusion.config import MeshEncoderConfig
from hand_pose_ros.networks.mesh_diffusion.sampling import mesh_noise
from hand_pose_ros.networks.registry import HAND_DIFFUSION, MESH_DIFFUSION, shipped_weights
from hand_pose_ros.networks.weights import load_weights, save_weights

BLOCKS = MeshEncoderConfig("landmark_blocks")


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Makes the weight file of a small network with random weights."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def make(**changes):
        network = small_mesh_network(4, **changes)
        for block in network.conditions.values():
            torch.nn.init.normal_(block.last.weight)
        path = tmp_path / "mesh.safetensors"
        save_weights(path, network, MESH_DIFFUSION, network.config.to_dict())
        return path

    return make


@pytest.mark.parametrize("encoder", [BLOCKS, MeshEncoderConfig("resnet", 18, 64)])
def test_both_backends_draw_the_same(weights, encoder):
    path = weights(encoder=encoder, spread_scale=1.5, conditions=("silhouette",))
    generator = torch.Generator().manual_seed(0)
    if encoder.reads_features:
        inputs = torch.randn(3, 192, 7, 7, generator=generator)
    else:
        inputs = torch.randint(256, (3, 64, 64, 3), generator=generator, dtype=torch.uint8)
    noise = mesh_noise(2, 64, generator)
    networks = [load_mesh_network(path, backend, "cpu") for backend in ("torch", "onnxruntime")]
    sign, given = torch.tensor((1.0, -1.0, 1.0)), {"silhouette": torch.ones(3, 1, 24, 24)}
    one, other = (network.hypotheses(inputs, sign, noise, 5) for network in networks)
    assert one.shape == (3, 2, 2270, 3)
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    # The extra condition changes the meshes, of both backends alike.
    changed, other = (network.hypotheses(inputs, sign, noise, 5, given) for network in networks)
    assert (changed - one).abs().max() > 0.1
    torch.testing.assert_close(changed, other, rtol=1e-3, atol=1e-4)
    assert all(network.config.spread_scale == 1.5 for network in networks)
    for network in networks:
        with pytest.raises(ValueError, match="n must be at least 1"):
            network.hypotheses(inputs[:0], torch.ones(0), noise, 5)


@pytest.mark.parametrize("backend", ["torch", "onnxruntime"])
def test_without_diffusion_pytorch_gives_one_mesh(weights, backend):
    network = load_mesh_network(weights(diffusion=False, encoder=BLOCKS), backend, "cpu")
    noise = mesh_noise(2, 64, torch.Generator())
    meshes = network.hypotheses(torch.randn(1, 192, 7, 7), torch.ones(1), noise, 1)
    assert torch.equal(meshes[:, 0], meshes[:, 1])


@pytest.mark.parametrize("encoder", [BLOCKS, MeshEncoderConfig("resnet", 18, 64)])
def test_the_estimator_of_random_weights_gives_a_hand_or_a_reason(weights, encoder):
    config = MeshDiffusionEstimatorConfig(weights=str(weights(encoder=encoder)), backend="torch")
    estimator = config.create(SIZE_M, "cpu")
    (vertices,) = known_meshes(1)
    (pose,) = place(estimator.estimate(blank_frame(CAMERA), [seen_hand(CAMERA, vertices, "right", 0)]))
    assert pose.valid != bool(pose.reason)


def test_a_resnet_needs_all_landmarks(weights):
    path = weights(encoder=MeshEncoderConfig("resnet", 18, 64))
    estimator = MeshDiffusionEstimatorConfig(weights=str(path), backend="torch").create(SIZE_M, "cpu")
    (vertices,) = known_meshes(1)
    seen = seen_hand(CAMERA, vertices, "right", 0)
    seen.landmarks_px[4] = np.nan
    (pose,) = place(estimator.estimate(blank_frame(CAMERA), [seen]))
    assert pose.reason == "the crop of the mesh network needs all 21 landmarks"


def test_wrong_files_and_meshes_of_another_topology_are_refused(weights, tmp_path):
    with pytest.raises(ValueError, match="expected 'mesh_diffusion'"):
        load_mesh_network(shipped_weights(HAND_DIFFUSION), "torch", "cpu")
    with pytest.raises(ValueError, match="backend must be one of"):
        load_mesh_network(weights(), "guess", "cpu")
    loaded = load_weights(weights())
    network = small_mesh_network(4)
    other = tmp_path / "other.safetensors"
    save_weights(other, network, MESH_DIFFUSION, {**loaded.config, "points": 2271})
    with pytest.raises(ValueError, match=r"points must lie in \[20, 2270\], got 2271"):
        load_mesh_network(other, "torch", "cpu")
