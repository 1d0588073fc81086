"""Errors lie within their bounds for any input, and the weights keep the standardisation."""

from __future__ import annotations

import pytest
import torch

from hand_pose_ros.networks.landmark_error import (
    LOG_ERROR,
    LandmarkErrorConfig,
    LandmarkErrorNetwork,
    pooled_features,
)
from hand_pose_ros.networks.orientation.features import SHAPE
from hand_pose_ros.networks.registry import LANDMARK_ERROR, load_network, shipped_weights
from hand_pose_ros.networks.weights import save_weights


def test_errors_are_bounded_for_any_features():
    network = LandmarkErrorNetwork().eval()
    logarithm = network(1e4 * torch.randn(5, SHAPE[0], generator=torch.Generator().manual_seed(0)))
    assert logarithm.shape == (5, 21)
    assert LOG_ERROR[0] <= float(logarithm.min()) <= float(logarithm.max()) <= LOG_ERROR[1]


def test_the_weight_file_keeps_the_standardisation(tmp_path):
    torch.manual_seed(3)
    network = LandmarkErrorNetwork(LandmarkErrorConfig(width=8)).eval()
    inputs = 5 + 3 * torch.randn(50, SHAPE[0])
    network.standardise(inputs)
    torch.testing.assert_close(
        (inputs - network.mean).div(network.scale).std(0), torch.ones(SHAPE[0]), atol=1e-2, rtol=0
    )
    save_weights(tmp_path / "one.safetensors", network, LANDMARK_ERROR, network.config.to_dict())
    loaded = load_network(tmp_path / "one.safetensors", LANDMARK_ERROR).network
    torch.testing.assert_close(loaded(inputs), network(inputs))


def test_the_shipped_network_takes_the_features():
    network = load_network(shipped_weights(LANDMARK_ERROR), LANDMARK_ERROR).network
    features = torch.rand(2, *SHAPE, generator=torch.Generator().manual_seed(0))
    pooled = pooled_features(features)
    torch.testing.assert_close(pooled[0, 3], features[0, 3].mean())
    assert network(pooled).isfinite().all()


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="features"):
        pooled_features(torch.zeros(1, 7, 7, SHAPE[0]))
    with pytest.raises(ValueError, match="width"):
        LandmarkErrorConfig(width=0)
