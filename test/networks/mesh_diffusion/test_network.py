"""The network has the paper's parts and refuses wrong input; an untrained condition changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.mesh_networks import small_mesh_config, small_mesh_network
from helpers.onnx_runs import run_graph

from hand_pose_ros.mesh.template import load_template
from hand_pose_ros.networks.mesh_diffusion.conditions import (
    depth_condition,
    keypoint_condition,
    silhouette_condition,
)
from hand_pose_ros.networks.mesh_diffusion.config import (
    CONDITION_CHANNELS,
    MeshDiffusionConfig,
    MeshEncoderConfig,
)
from hand_pose_ros.networks.mesh_diffusion.decoder import VertexBlock
from hand_pose_ros.networks.mesh_diffusion.encoders import ContinuedFeatures
from hand_pose_ros.networks.mesh_diffusion.network import MeshDiffusion
from hand_pose_ros.networks.mesh_diffusion.onnx import (
    DENOISER_FILE,
    DENOISER_INPUTS,
    ENCODER_FILE,
    ENCODER_INPUTS,
    export_mesh_diffusion,
)
from hand_pose_ros.networks.orientation.network import OrientationNetwork

VERTICES = len(load_template().vertices)


def inputs(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sign = torch.tensor([1.0, -1.0]).repeat(count)[:count]
    return torch.randn(count, 192, 7, 7, generator=generator), sign


def noisy(network, count, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, network.config.points, 3, generator=generator), torch.arange(count)


@pytest.mark.parametrize("decoder", ["cross_modality", "self_attention"])
@pytest.mark.parametrize("diffusion", [True, False])
def test_all_variants_of_table_4_give_meshes_and_gradients(decoder, diffusion):
    torch.manual_seed(0)
    network = MeshDiffusion(small_mesh_config(decoder=decoder, diffusion=diffusion))
    encoded = network.encode(*inputs(3))
    predicted = network.denoise(*noisy(network, 3), encoded) if diffusion else network.regress(encoded)
    assert predicted.shape == (3, network.config.points, 3)
    mesh = network.mesh(predicted)
    assert mesh.shape == (3, VERTICES, 3)
    mesh.square().sum().backward()
    silent = {name for name, one in network.named_parameters() if one.grad is None}
    of_map = {"cells", "map_norm.weight", "map_norm.bias"}
    assert silent == (of_map if decoder == "self_attention" else set())
    with pytest.raises(ValueError, match="a network with"):
        network.regress(encoded) if diffusion else network.denoise(*noisy(network, 3), encoded)


@pytest.mark.parametrize("kind", ["landmark_features", "landmark_blocks"])
def test_a_batch_is_its_hands_one_by_one(kind):
    network = small_mesh_network(encoder=MeshEncoderConfig(kind))
    crops, sign = inputs(3)
    x, t = noisy(network, 3)
    together = network.denoise(x, t, network.encode(crops, sign))
    for row in range(3):
        part = slice(row, row + 1)
        alone = network.denoise(x[part], t[part], network.encode(crops[part], sign[part]))
        torch.testing.assert_close(together[part], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["landmark_features", "landmark_blocks"])
def test_the_image_the_time_the_side_and_the_noise_all_count(kind):
    network = small_mesh_network(encoder=MeshEncoderConfig(kind))
    crops, sign = inputs(2)
    x, t = noisy(network, 2)
    base = network.denoise(x, t, network.encode(crops, sign))
    others = (
        network.denoise(x, t, network.encode(crops.roll(1, 0), sign)),
        network.denoise(x, t + 5, network.encode(crops, sign)),
        network.denoise(x, t, network.encode(crops, -sign)),
        network.denoise(-x, t, network.encode(crops, sign)),
    )
    for other in others:
        assert (other - base).abs().max() > 1e-3


def test_the_vertex_block_reads_only_the_first_vertices_at_the_coarsest_level():
    torch.manual_seed(0)
    block = VertexBlock((24, 12, 6), 16, 2)
    x, embedding, cells = torch.randn(1, 24, 16), torch.randn(1, 16), torch.randn(1, 5, 16)
    base = block(x, embedding, cells)
    changed = x.clone()
    changed[:, 20] += torch.randn(16)  # not among the samples: only its lateral connection carries it
    moved = block(changed, embedding, cells) - base
    assert moved[:, 20].abs().min() > 0
    others = [row for row in range(24) if row != 20]
    torch.testing.assert_close(moved[:, others], torch.zeros_like(moved[:, others]), atol=1e-5, rtol=0)
    changed = x.clone()
    changed[:, 2] += torch.randn(16)  # among all samples: attention spreads it, beyond rounding
    assert (block(changed, embedding, cells) - base).abs().amax((0, 2)).min() > 1e-4


def test_an_untrained_network_s_features_are_smooth_on_the_surface():
    torch.manual_seed(0)
    network = MeshDiffusion(MeshDiffusionConfig(points=128, width=32, rate=4.0))
    places = load_template().vertices[network.kept]
    distance = torch.cdist(places, places)
    up = network.decoder.vertex_blocks[0].up[-1]
    raised = up(torch.randn(1, up.first.in_features, 32))
    for features in (network.vertices.detach(), raised[0].detach()):
        apart = torch.cdist(features, features)
        nearest = distance.fill_diagonal_(torch.inf).argmin(1)
        assert apart[torch.arange(128), nearest].mean() < 0.6 * apart.mean()
    torch.testing.assert_close(up.second.weight.sum(1), torch.ones(128))


@pytest.mark.parametrize("name", CONDITION_CHANNELS)
def test_an_untrained_condition_changes_no_bit(name):
    base = small_mesh_network()
    torch.manual_seed(3)
    network = MeshDiffusion(replace(base.config, conditions=(name,))).eval()
    missing, unexpected = network.load_state_dict(base.state_dict(), strict=False)
    assert all(one.startswith("conditions.") for one in missing)
    assert missing
    assert not unexpected
    size = network.config.condition_size_px
    image = torch.randn(2, CONDITION_CHANNELS[name], size, size)
    crops, sign = inputs(2)
    x, t = noisy(base, 2)
    expected = base.denoise(x, t, base.encode(crops, sign))
    assert torch.equal(network.denoise(x, t, network.encode(crops, sign, {name: image})), expected)
    # It can learn: the gradient reaches its last layer, and after a step of that layer the others.
    network.denoise(x, t, network.encode(crops, sign, {name: image})).square().sum().backward()
    block = network.conditions[name]
    assert block.last.weight.grad.abs().max() > 0
    with torch.no_grad():
        block.last.weight.sub_(1e-3 * block.last.weight.grad.sign())
    network.zero_grad()
    changed = network.denoise(x, t, network.encode(crops, sign, {name: image}))
    assert not torch.equal(changed, expected)
    changed.square().sum().backward()
    assert all(one.grad.abs().max() > 0 for one in block.parameters())


def test_images_of_conditions():
    depth = torch.full((2, 8, 8), torch.nan)
    depth[0, 2:4, 2:4] = torch.tensor([[4.0, 5.0], [6.0, 5.0]])
    made = depth_condition(depth)
    torch.testing.assert_close(made[0, 0, 2:4, 2:4], torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
    torch.testing.assert_close(made[0, 1].sum(), torch.tensor(4.0))
    assert not made[1].any()
    torch.testing.assert_close(silhouette_condition(depth.isfinite())[:, 0], made[:, 1])
    points = torch.zeros(1, 21, 2)
    points[0, 3] = torch.tensor([0.5, -0.5])
    points[0, 4] = torch.nan
    bells = keypoint_condition(points, 16)
    row, column = np.unravel_index(int(bells[0, 3].argmax()), (16, 16))
    assert abs(row - 3.5) <= 0.5
    assert abs(column - 11.5) <= 0.5
    assert not bells[0, 4].any()


def test_wrong_meshes_batches_and_conditions_are_refused():
    network = small_mesh_network(conditions=("depth",))
    crops, sign = inputs(2)
    encoded = network.encode(crops, sign)
    with pytest.raises(ValueError, match=r"vertices must have shape \(\.\.\., 2270, 3\), got \(2, 778, 3\)"):
        network.points_of(torch.zeros(2, 778, 3))
    with pytest.raises(ValueError, match="noisy vertices must have shape"):
        network.denoise(torch.zeros(2, 7, 3), torch.zeros(2), encoded)
    with pytest.raises(ValueError, match="the batch has no crop"):
        network.encode(crops[:0], sign[:0])
    with pytest.raises(ValueError, match=r"sign must have shape \(2,\)"):
        network.encode(crops, sign[:1])
    with pytest.raises(ValueError, match="features must have shape"):
        network.encode(crops[:, :5], sign)
    with pytest.raises(ValueError, match="no condition 'silhouette'"):
        network.encode(crops, sign, {"silhouette": torch.zeros(2, 1, 24, 24)})
    with pytest.raises(ValueError, match="condition 'depth' must have shape"):
        network.encode(crops, sign, {"depth": torch.zeros(2, 1, 24, 24)})
    with pytest.raises(ValueError, match="condition 'depth' must be finite"):
        network.encode(crops, sign, {"depth": torch.full((2, 2, 24, 24), torch.nan)})
    with pytest.raises(ValueError, match="statistics need at least two hands"):
        network.set_statistics(torch.zeros(1, VERTICES, 3))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"points": 5}, "points must lie"),
        ({"points": 10**9}, "points must lie"),
        ({"width": 30, "heads": 4}, "width must be"),
        ({"levels": 16, "rate": 3.0}, "leave less than two"),
        ({"rate": 1.0}, "the rate must be above 1"),
        ({"decoder": "graph"}, "decoder must be one of"),
        ({"steps": 0}, "steps must lie"),
        ({"conditions": ("depth", "depth")}, "conditions must be different"),
        ({"conditions": ("sound",)}, "conditions must be different ones of"),
    ],
)
def test_bad_configurations_are_refused(values, reason):
    with pytest.raises(ValueError, match=reason):
        MeshDiffusionConfig(**values)


def test_more_points_than_the_template_has_are_refused():
    with pytest.raises(ValueError, match=r"points must lie in \[20, 2270\]"):
        MeshDiffusion(small_mesh_config(points=3000))


def test_a_resnet_reads_crops():
    torch.manual_seed(0)
    network = MeshDiffusion(small_mesh_config(encoder=MeshEncoderConfig("resnet", 18, 64))).eval()
    crops = torch.randint(256, (2, 64, 64, 3), dtype=torch.uint8)
    encoded = network.encode(crops, torch.ones(2))
    assert encoded.feature_map.shape == (2, 4, 16)
    with pytest.raises(ValueError, match="crops must have shape"):
        network.encode(crops[:, :32], torch.ones(2))


def test_blocks_are_those_of_the_orientation_network_and_maps_of_left_hands_are_mirrored():
    torch.manual_seed(0)
    other = OrientationNetwork().eval()
    encoder = ContinuedFeatures(16).eval()
    theirs = other.state_dict()
    encoder.landmark.load_state_dict({name: theirs[name] for name in encoder.landmark.state_dict()})
    crops, _ = inputs(2)
    narrow, means = encoder.blocks(crops)
    torch.testing.assert_close(means, other.pooled(crops))
    right, left = encoder(crops, torch.ones(2)), encoder(crops, -torch.ones(2))
    torch.testing.assert_close(left.feature_map, right.feature_map.flip(-1))
    assert (left.embedding - right.embedding).abs().max() > 1e-3
    stored = encoder.after_blocks(narrow, means, torch.ones(2))
    assert torch.equal(stored.feature_map, right.feature_map)
    assert torch.equal(stored.embedding, right.embedding)


@pytest.mark.parametrize("kind", ["landmark_features", "landmark_blocks"])
def test_onnx_graphs_agree(tmp_path, kind):
    network = small_mesh_network(encoder=MeshEncoderConfig(kind))
    export_mesh_diffusion(network, tmp_path)
    crops, sign = inputs(5)
    encoded = network.encode(crops, sign)
    found = run_graph(tmp_path / ENCODER_FILE, dict(zip(ENCODER_INPUTS, (crops, sign), strict=True)))
    for one, expected in zip(found, encoded, strict=True):
        np.testing.assert_allclose(one, expected.detach().numpy(), atol=1e-4)
    x, t = noisy(network, 5)
    expected = network.denoise(x, t, encoded).detach().numpy()
    values = dict(zip(DENOISER_INPUTS, (x, t, *encoded), strict=True))
    np.testing.assert_allclose(run_graph(tmp_path / DENOISER_FILE, values)[0], expected, atol=1e-4)
