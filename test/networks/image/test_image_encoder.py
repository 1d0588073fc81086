"""The image encoder: torchvision's names, heatmaps that say where and how deep, and crops as it takes them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.image_networks import small_config

from hand_pose_ros.networks.image.heatmap_head import HeatmapHead, pixel_grid
from hand_pose_ros.networks.image.image_encoder import (
    ImageEncoder,
    ImageEncoderConfig,
    ImageFeatures,
    image_condition,
    normalised,
)
from hand_pose_ros.networks.image.resnet import STRIDES, ResNet, load_torchvision

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
TORCHVISION_ENTRIES = {18: 122, 34: 218, 50: 320}  # of the state dict, with the two of the classifier
TORCHVISION_PARAMETERS = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032}


def torchvision_shapes(depth):
    """Names and shapes of the state dict of torchvision's network, without its classifier, written as a rule."""
    shapes = {"conv1.weight": (64, 3, 7, 7)}

    def norm(name, channels):
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{part}"] = (channels,)
        shapes[f"{name}.num_batches_tracked"] = ()

    norm("bn1", 64)
    inputs = 64
    for layer, count in enumerate(BLOCKS[depth], 1):
        width = 32 << layer
        for block in range(count):
            name = f"layer{layer}.{block}"
            if depth == 50:
                convolutions, outputs = (
                    [(width, inputs, 1), (width, width, 3), (4 * width, width, 1)],
                    4 * width,
                )
            else:
                convolutions, outputs = [(width, inputs, 3), (width, width, 3)], width
            for number, (out, into, size) in enumerate(convolutions, 1):
                shapes[f"{name}.conv{number}.weight"] = (out, into, size, size)
                norm(f"{name}.bn{number}", out)
            if block == 0 and (layer > 1 or depth == 50):
                shapes[f"{name}.downsample.0.weight"] = (outputs, inputs, 1, 1)
                norm(f"{name}.downsample.1", outputs)
            inputs = outputs
    return shapes


@pytest.mark.parametrize("depth", BLOCKS)
def test_names_and_shapes_are_those_of_torchvision(depth):
    network = ResNet(depth)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert shapes == torchvision_shapes(depth)
    assert len(shapes) == TORCHVISION_ENTRIES[depth] - 2
    classifier = 1000 * (network.channels[-1] + 1)
    assert sum(p.numel() for p in network.parameters()) == TORCHVISION_PARAMETERS[depth] - classifier


def test_torchvisions_weights_can_be_loaded_and_others_are_refused():
    tensors = {name: torch.rand(shape) for name, shape in torchvision_shapes(18).items()}
    tensors |= {"fc.weight": torch.rand(1000, 512), "fc.bias": torch.rand(1000)}
    network = ResNet(18)
    load_torchvision(network, tensors)
    assert torch.equal(network.layer3[1].conv2.weight, tensors["layer3.1.conv2.weight"])
    with pytest.raises(ValueError, match="differ in name or shape"):
        load_torchvision(ResNet(34), tensors)
    with pytest.raises(ValueError, match="depth must be one of"):
        ResNet(101)


@pytest.mark.parametrize("depth", BLOCKS)
def test_feature_maps_have_their_strides(depth):
    network = ResNet(depth).eval()
    maps = network(torch.randn(2, 3, 64, 96))
    for features, stride, channels in zip(maps, STRIDES, network.channels, strict=True):
        assert features.shape == (2, channels, 64 // stride, 96 // stride)


def test_a_peak_of_the_heatmap_is_where_it_says_and_as_deep():
    grid = pixel_grid(16, 32, torch.zeros(()))
    assert grid.shape == (512, 2)
    torch.testing.assert_close(grid.view(16, 32, 2)[5, 9], torch.tensor([19 / 32 - 1, 11 / 16 - 1]))
    head = HeatmapHead((4, 4), channels=8).eval()

    class Maps(torch.nn.Module):
        def forward(self, x):
            maps = torch.zeros(len(x), 63, *x.shape[-2:])
            maps[:, :21, 5, 9] = 100.0
            maps[:, 21:42] = torch.arange(32.0)  # the depth grows to the right
            return maps

    head.maps = Maps()
    seen = head((torch.randn(2, 4, 16, 32), torch.randn(2, 4, 8, 16)))
    torch.testing.assert_close(seen.points, torch.tensor([19 / 32 - 1, 11 / 16 - 1]).expand(2, 21, 2))
    torch.testing.assert_close(seen.depth, torch.full((2, 21), 9.0))
    with torch.no_grad():
        head.log_beta.fill_(-20.0)  # no spread is wider than that of the whole map
    seen = head((torch.randn(2, 4, 16, 32), torch.randn(2, 4, 8, 16)))
    torch.testing.assert_close(seen.points, torch.zeros(2, 21, 2), rtol=0, atol=1e-4)


def test_what_the_encoder_gives():
    config = small_config().image
    torch.manual_seed(0)
    encoder = ImageEncoder(config).eval()
    crops = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    seen = encoder(normalised(crops))
    assert seen.features.shape == (3, 32)
    assert seen.points.shape == (3, 21, 2)
    assert seen.points.abs().max() < config.margin
    assert seen.depth.shape == seen.sigma.shape == (3, 21)
    assert not seen.depth[:, 0].any()
    assert (seen.sigma > 0).all()
    assert seen.presence.shape == (3,)
    torch.testing.assert_close(seen.log_heat.exp().sum((-2, -1)), torch.ones(3, 21))
    condition = image_condition(seen, torch.tensor([0.1, 0.2, 0.3]))
    assert condition.shape == (3, config.condition_size)
    torch.testing.assert_close(condition[:, -84:].view(3, 21, 4)[..., :2], seen.points)
    with torch.autocast("cpu", torch.bfloat16):
        assert all(value.dtype == torch.float32 for value in encoder(normalised(crops)))


def test_the_condition_trains_the_features_and_not_the_points():
    seen = ImageFeatures(
        *(torch.randn(2, *shape, requires_grad=True) for shape in ((8,), (21, 2), (21,))),
        torch.rand(2, 21, requires_grad=True),
        torch.zeros(2),
        torch.zeros(2, 21, 8, 8),
    )
    image_condition(seen, torch.ones(2)).sum().backward()
    assert seen.features.grad is not None
    assert seen.points.grad is seen.depth.grad is seen.sigma.grad is None


def test_crops_are_turned_into_normalised_rgb_with_channels_last():
    crops = np.zeros((2, 32, 32, 3), np.uint8)
    crops[..., 2] = 255  # red, in BGR
    images = normalised(crops)
    assert images.shape == (2, 3, 32, 32)
    assert images.is_contiguous(memory_format=torch.channels_last)
    expected = (torch.tensor([1.0, 0.0, 0.0]) - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor(
        [0.229, 0.224, 0.225]
    )
    torch.testing.assert_close(images[0, :, 3, 5], expected)


@pytest.mark.parametrize(
    "values", [{"depth": 20}, {"size_px": 100}, {"margin": 0.0}, {"features": 0}, {"projection": 3}, {"x": 1}]
)
def test_a_configuration_refuses_nonsense(values):
    with pytest.raises(ValueError, match=r"depth|size_px|margin|features|projection|image encoder"):
        ImageEncoderConfig.from_dict(values)
