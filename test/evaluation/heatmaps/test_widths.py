"""Widths of heatmaps: those of normal distributions are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.image_networks import drawn_hands

from hand_pose_ros import hand
from hand_pose_ros.evaluation.heatmaps.widths import WIDTH_GROUPS, map_widths, width_figures, widths_of
from hand_pose_ros.networks.heatmap.config import HeatmapConfig
from hand_pose_ros.networks.heatmap.network import HeatmapNetwork

FULL_WIDTH = np.sqrt(8 * np.log(2))  # of a normal distribution, in standard deviations


@pytest.mark.parametrize("size", [64, 128])
def test_normal_distributions_have_their_width(size):
    sigmas = torch.linspace(4, 9, hand.NUM_JOINTS)  # pixels of a 128 px crop
    places = (torch.arange(size) + 0.5) * (128 / size) - 60.0
    squared = places[:, None] ** 2 + places**2
    maps = (
        (-squared / (2 * sigmas[:, None, None] ** 2)).flatten(1).log_softmax(-1).unflatten(-1, (size, size))
    )
    widths = widths_of(maps[None])[0]
    torch.testing.assert_close(widths, FULL_WIDTH * sigmas, rtol=0.12, atol=0)  # by whole pixels
    figures = width_figures(widths.numpy())
    assert figures["widest / narrowest"] == pytest.approx(9 / 4, rel=0.15)
    assert figures["wrist"] == pytest.approx(4 * FULL_WIDTH, rel=0.12)


def test_all_joints_are_in_one_group():
    assert sorted(joint for joints in WIDTH_GROUPS.values() for joint in joints) == list(
        range(hand.NUM_JOINTS)
    )


def test_networks_without_maps_have_no_width():
    images = drawn_hands(3)
    torch.manual_seed(0)
    latent = HeatmapNetwork(HeatmapConfig(image_size=64, width=8, levels=3)).eval()
    widths = map_widths(latent, images)
    assert widths.shape == (hand.NUM_JOINTS,)
    assert np.all((widths > 0) & (widths <= 128 * np.sqrt(4 / np.pi)))
    holistic = HeatmapNetwork(HeatmapConfig(variant="holistic", image_size=64, resnet_depth=18)).eval()
    assert np.isnan(map_widths(holistic, images)).all()
