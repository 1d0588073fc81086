"""The orientation network starts as the landmark network does, treats both sides alike, and exports."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hand_pose_ros.detection.mediapipe.network_files import CHECKSUMS, read_stored
from hand_pose_ros.estimator.orientation.backends import OnnxOrientation, TorchOrientation
from hand_pose_ros.networks.imported.backends import open_tflite
from hand_pose_ros.networks.imported.network import import_network
from hand_pose_ros.networks.orientation.features import (
    NETWORK,
    SHAPE,
    channels_first,
    has_features,
    with_features,
)
from hand_pose_ros.networks.orientation.network import (
    OrientationConfig,
    OrientationNetwork,
    orientation_from_raw,
    start_from_landmarks,
)
from hand_pose_ros.networks.orientation.onnx import export_orientation

_FILE = "hand_landmark_full.tflite"


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(1)
    network = OrientationNetwork(OrientationConfig(width=32))
    with torch.no_grad():
        network.out.weight.normal_(std=0.3)
    return network.eval().requires_grad_(False)


def random_inputs(count=5):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, *SHAPE, generator=generator), torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0])[:count]


def test_the_last_blocks_are_those_of_the_landmark_network():
    """The head's input, the mean of the last map, is that of the landmark network's own outputs."""
    content = read_stored(_FILE)
    assert CHECKSUMS[_FILE] == NETWORK
    assert has_features(content)
    imported = import_network(content)
    network = OrientationNetwork().eval()
    start_from_landmarks(network, imported)
    image = np.random.default_rng(0).random((224, 224, 3), dtype=np.float32)
    *outputs, features = open_tflite(with_features(content), "torch", "cpu", 1).run(image)
    pooled = []
    network.dropout.register_forward_hook(lambda _module, given, _result: pooled.append(given[0]))
    with torch.no_grad():
        network.raw(torch.from_numpy(channels_first(features))[None], torch.ones(1))
        screen = imported.operations[61](pooled[0])
    np.testing.assert_allclose(screen[0].numpy(), outputs[0], atol=1e-3)


def test_another_network_is_no_start():
    with pytest.raises(ValueError, match="hand_landmark_full"):
        start_from_landmarks(OrientationNetwork(), import_network(read_stored("hand_landmark_lite.tflite")))


def test_outputs_are_rotations_with_positive_deviations(network):
    answer = network(*random_inputs())
    torch.testing.assert_close(answer.rotation @ answer.rotation.mT, torch.eye(3).expand(5, 3, 3))
    assert (torch.linalg.det(answer.rotation) > 0).all()
    assert (answer.sigma > 0).all()
    assert (answer.depth_sigma[:, 1:] > 0).all()
    assert not answer.depth[:, 0].any()


def test_a_left_hand_is_the_mirrored_right_hand():
    """The same outputs for a crop describe a left hand whose mirror image is the returned right hand."""
    raw = torch.randn(4, 52, generator=torch.Generator().manual_seed(2))
    right, left = (orientation_from_raw(raw, torch.full((4,), sign)) for sign in (1.0, -1.0))
    across, of_wrist = torch.diag(torch.tensor([-1.0, 1.0, 1.0])), torch.diag(torch.tensor([1.0, -1.0, 1.0]))
    torch.testing.assert_close(left.rotation, across @ right.rotation @ of_wrist)
    torch.testing.assert_close(left.depth, right.depth)


def test_the_export_agrees(network, tmp_path):
    export_orientation(network, tmp_path / "graph.onnx")
    inputs = random_inputs()
    ours = TorchOrientation(network).depths(*inputs)
    torch.testing.assert_close(ours, network(*inputs).depth)
    for count in (1, 5):
        theirs = OnnxOrientation(tmp_path / "graph.onnx").depths(*(one[:count] for one in inputs))
        torch.testing.assert_close(ours[:count], theirs, atol=1e-4, rtol=0)
