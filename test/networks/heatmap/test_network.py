"""The 2.5D networks: every variant keeps the contract of inputs and outputs, and agrees with its ONNX graph."""

from __future__ import annotations

import math

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from hand_pose_ros import hand
from hand_pose_ros.detection.mediapipe.network_files import read_stored
from hand_pose_ros.networks.heatmap.config import VARIANTS, HeatmapConfig
from hand_pose_ros.networks.heatmap.landmark_encoder import (
    ENCODER_CHANNELS,
    LandmarkEncoder,
    start_from_landmarks,
)
from hand_pose_ros.networks.heatmap.landmark_start import start_fast_network
from hand_pose_ros.networks.heatmap.network import HeatmapNetwork
from hand_pose_ros.networks.heatmap.onnx import GRAPH_OUTPUTS, export_heatmap
from hand_pose_ros.networks.image.heatmap_head import latent_points, normal_log_density
from hand_pose_ros.networks.imported.backends import open_tflite
from hand_pose_ros.networks.imported.network import import_network
from hand_pose_ros.networks.orientation.features import channels_first, with_features

FILE = "hand_landmark_full.tflite"
SMALL = {
    "latent": {"width": 8, "levels": 3},
    "two_stages": {"width": 8, "levels": 3, "stages": 2},
    "direct": {"variant": "direct", "width": 8, "levels": 3},
    "direct_two_stages": {"variant": "direct", "width": 8, "levels": 3, "stages": 2},
    "holistic": {"variant": "holistic", "resnet_depth": 18},
    "fast": {"variant": "fast", "width": 16},
}


def small(name, size=64):
    torch.manual_seed(3)
    network = HeatmapNetwork(HeatmapConfig(image_size=size, **SMALL[name]))
    with torch.no_grad():  # an untrained network would return the same for all images
        for parameter in network.parameters():
            parameter.mul_(1.2)
    return network.eval().requires_grad_(False)


def images(count, size=64):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(count))


def test_every_variant_is_tested():
    assert {HeatmapConfig(**values).variant for values in SMALL.values()} == set(VARIANTS)


@pytest.mark.parametrize("name", SMALL)
def test_outputs_keep_the_contract(name):
    network = small(name)
    joints = network(images(3))
    side = network.config.map_size
    assert joints.points.shape == (3, hand.NUM_JOINTS, 2)
    assert joints.depth.shape == joints.log_sigma.shape == (3, hand.NUM_JOINTS)
    assert joints.log_heat.shape == (3, hand.NUM_JOINTS, side, side)
    assert side == {"holistic": 0, "fast": 16}.get(name, 64)
    assert all(one.isfinite().all() for one in joints)
    assert not joints.depth[:, hand.WRIST].any()
    if side:
        total = joints.log_heat.exp().sum((-2, -1))
        torch.testing.assert_close(total, torch.ones_like(total))
        assert joints.points.abs().max() <= 1
    assert len(network.stages(images(1))) == network.config.stages


@pytest.mark.parametrize("name", SMALL)
def test_a_batch_gives_the_same_as_single_images(name):
    network, given = small(name), images(3)
    together = network(given)
    for row in range(3):
        for batch, alone in zip(together, network(given[row : row + 1]), strict=True):
            torch.testing.assert_close(batch[row], alone[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", SMALL)
def test_the_graph_agrees(name, tmp_path):
    network = small(name)
    export_heatmap(network, tmp_path / "graph.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "graph.onnx"), providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_outputs()] == [*GRAPH_OUTPUTS[: 3 if name == "holistic" else 4]]
    for count in (1, 5):
        given = images(count)
        for ours, theirs in zip(network(given), session.run(None, {"images": given.numpy()}), strict=False):
            np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-4)


def test_the_paper_s_width_has_about_the_paper_s_weights():
    counts = [
        sum(one.numel() for one in HeatmapNetwork(HeatmapConfig(stages=stages)).parameters()) / 1e6
        for stages in (1, 2)
    ]
    assert counts == pytest.approx([17, 35], rel=0.06)


def test_the_second_stage_takes_the_maps_of_the_first():
    network = small("two_stages")
    network.requires_grad_(True)
    first, second = network.stages(images(2))
    gradient = torch.autograd.grad(second.joints.points.square().sum(), first.maps)[0]
    assert gradient[:, :42].any()
    assert not gradient[:, 42:].any()  # the spread is not passed on


def test_the_fast_graph_pads_inside_its_convolutions(tmp_path):
    export_heatmap(small("fast"), tmp_path / "graph.onnx")
    nodes = onnx.load(str(tmp_path / "graph.onnx")).graph.node
    assert not [one for one in nodes if one.op_type == "Pad"]
    uneven = [attribute.ints for one in nodes for attribute in one.attribute if attribute.name == "pads"]
    assert [0, 0, 1, 1] in [list(pads) for pads in uneven]


def test_latent_points_are_expectations_over_the_map():
    network, given = small("latent", 32), images(1, 32)
    (output,) = network.stages(given)
    heat, depth, _ = output.maps[0].double().chunk(3)
    beta = network.beta.double()
    for joint in range(hand.NUM_JOINTS):
        weights = np.exp((beta[joint] * heat[joint]).numpy())
        weights /= weights.sum()
        rows, columns = np.indices(weights.shape)
        place = np.array(((weights * columns).sum(), (weights * rows).sum()))
        np.testing.assert_allclose(output.joints.points[0, joint], (2 * place + 1) / 32 - 1, atol=1e-5)
        root = depth[0].numpy() * softmax(beta[0] * heat[0])
        expected = (weights * depth[joint].numpy()).sum() - root.sum()
        assert output.joints.depth[0, joint] == pytest.approx(expected, abs=1e-5)


def softmax(values):
    weights = np.exp(values.numpy())
    return weights / weights.sum()


def test_direct_points_and_depths_are_read_at_the_maximum():
    network, given = small("direct", 32), images(2, 32)
    (output,) = network.stages(given)
    heat, depth, _ = output.maps.chunk(3, dim=1)
    for row in range(2):
        at = [np.unravel_index(int(one.argmax()), one.shape) for one in heat[row]]
        root = depth[row, 0][at[0]]
        for joint, place in enumerate(at):
            expected = (2 * np.array(place[::-1]) + 1) / 32 - 1
            np.testing.assert_allclose(output.joints.points[row, joint], expected, atol=1e-6)
            assert output.joints.depth[row, joint] == pytest.approx(float(depth[row, joint][place] - root))


def test_the_fast_encoder_computes_the_landmark_network_s_features():
    content = read_stored(FILE)
    encoder = LandmarkEncoder(blocks=13).eval().requires_grad_(False)
    start_from_landmarks(encoder, import_network(content))
    image = np.random.default_rng(0).random((224, 224, 3), dtype=np.float32)
    expected = channels_first(open_tflite(with_features(content), "torch", "cpu", 1).run(image)[-1])
    maps = encoder(torch.from_numpy(image).permute(2, 0, 1)[None])
    assert [one.shape[1] for one in maps] == list(ENCODER_CHANNELS)
    assert [one.shape[2] for one in maps] == [112, 56, 28, 14, 7]
    np.testing.assert_allclose(maps[-1][0].numpy(), expected, atol=1e-3)


def test_the_fast_network_starts_with_the_landmark_network_s_points_presence_and_side():
    imported = import_network(read_stored(FILE))
    network = HeatmapNetwork(HeatmapConfig(variant="fast", image_size=224, width=8, presence=True)).eval()
    given = images(2, 224)
    with torch.no_grad():
        start_fast_network(network, imported)
        points, depth = network.regression(network.regression.pooled(network.encoder(given)[-1]))
        landmarks, presence, right, _ = imported(given)
        output = network.stages(given)[-1]
    torch.testing.assert_close(112 * (points + 1), landmarks.reshape(2, 21, 3)[..., :2], atol=1e-2, rtol=0)
    assert not depth.any()
    expected = torch.cat((presence.reshape(2, 1), right.reshape(2, 1)), dim=1)
    torch.testing.assert_close(output.hand.sigmoid(), expected, atol=1e-4, rtol=0)
    # Before the decoder has learned anything, the maps are around these points.
    assert (output.joints.points - points).abs().mean() < 0.05


def test_a_prior_moves_the_maps_to_its_centre():
    maps = torch.zeros(1, 63, 24, 24)
    centre = torch.full((1, hand.NUM_JOINTS, 2), 0.3)
    centre[..., 1] = -0.2
    log_prior = normal_log_density(centre, torch.full((hand.NUM_JOINTS,), math.log(0.1)), 24)
    found = latent_points(maps, torch.zeros(hand.NUM_JOINTS), log_prior)
    torch.testing.assert_close(found.points, centre, atol=1e-3, rtol=0)
    # The mean logarithm of a normal distribution, but for its constant, is -1/2 for each axis.
    mean = (found.log_heat.exp() * log_prior).sum((-2, -1))
    torch.testing.assert_close(mean, torch.full_like(mean, -1.0), atol=0.05, rtol=0)


def test_the_fast_encoder_in_bfloat16_computes_the_features_of_float32():
    encoder = LandmarkEncoder().eval()
    start_from_landmarks(encoder, import_network(read_stored(FILE)))
    given = images(2)
    expected = encoder(given)
    with torch.autocast("cpu", torch.bfloat16):
        maps = encoder(given)
    for ours, theirs in zip(maps, expected, strict=True):
        assert ours.dtype == torch.bfloat16
        assert ((ours.float() - theirs).norm() / theirs.norm()).item() < 0.1
    maps[-1].float().mean().backward()
    assert all(one.grad is not None and one.grad.dtype == torch.float32 for one in encoder.parameters())


def test_another_network_is_no_start():
    with pytest.raises(ValueError, match="hand_landmark_full"):
        start_from_landmarks(LandmarkEncoder(), import_network(read_stored("palm_detection_full.tflite")))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"variant": "volume"}, "variant must be one of latent"),
        ({"width": 0}, "width must lie in"),
        ({"levels": 30}, "levels must lie in"),
        ({"stages": 2, "variant": "fast"}, "the variant fast has one stage"),
        ({"image_size": 100}, "multiple of 32"),
        ({"image_size": 65536}, "at most 1024"),
        ({"resnet_depth": 51}, "resnet_depth must be one of"),
        ({"margin": 0.0}, "margin must be positive"),
    ],
)
def test_bad_configurations_are_refused(values, reason):
    with pytest.raises(ValueError, match=reason):
        HeatmapConfig(**values)


def test_images_of_another_size_are_refused():
    with pytest.raises(ValueError, match="images must have shape"):
        small("latent")(images(1, 96))
