"""ResNet 18, 34 and 50 without their classifier map an image to four feature maps.

The names and shapes of the tensors equal those of torchvision, so that :func:`load_torchvision` can load weights
that were trained there. ResNet 50 has its strides in the 3x3 convolutions, as in torchvision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn

_LAYOUTS: Final = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
DEPTHS: Final = tuple(_LAYOUTS)
STRIDES: Final = (4, 8, 16, 32)
"""Strides of the four feature maps, in pixels of the image."""
_STEM_CHANNELS: Final = 64
_CLASSIFIER: Final = "fc."


class _BasicBlock(nn.Module):
    """Two 3x3 convolutions (ResNet 18 and 34)."""

    expansion = 1

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _downsample(inputs, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.bn1(self.conv1(x)).relu_()
        hidden = self.bn2(self.conv2(hidden))
        return (hidden + (x if self.downsample is None else self.downsample(x))).relu_()


class _Bottleneck(nn.Module):
    """A 1x1, a 3x3 and a 1x1 convolution (ResNet 50)."""

    expansion = 4

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        outputs = self.expansion * channels
        self.conv1 = nn.Conv2d(inputs, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _downsample(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.bn1(self.conv1(x)).relu_()
        hidden = self.bn2(self.conv2(hidden)).relu_()
        hidden = self.bn3(self.conv3(hidden))
        return (hidden + (x if self.downsample is None else self.downsample(x))).relu_()


class ResNet(nn.Module):
    """The network has a stem and four layers.

    channels: channels of the four feature maps, whose strides are ``STRIDES``.
    """

    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(self, depth: int = 18) -> None:
        """Initialise at random; every residual block starts as the identity.

        Raises:
            ValueError: ``depth`` is not one of ``DEPTHS``.
        """
        super().__init__()
        if depth not in _LAYOUTS:
            raise ValueError(f"depth must be one of {DEPTHS}, got {depth}")
        block = _Bottleneck if depth == 50 else _BasicBlock
        self.conv1 = nn.Conv2d(3, _STEM_CHANNELS, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(_STEM_CHANNELS)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs, channels = _STEM_CHANNELS, []
        for index, count in enumerate(_LAYOUTS[depth]):
            width = _STEM_CHANNELS << index
            blocks = []
            for number in range(count):
                blocks.append(block(inputs, width, 2 if index and not number else 1))
                inputs = width * block.expansion
            self.add_module(f"layer{index + 1}", nn.Sequential(*blocks))
            channels.append(inputs)
        self.channels = tuple(channels)
        self._initialise()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Map (n, 3, h, w) normalised RGB to maps (n, channels[i], h / STRIDES[i], w / STRIDES[i])."""
        x = self.maxpool(self.bn1(self.conv1(images)).relu_())
        first = self.layer1(x)
        second = self.layer2(first)
        third = self.layer3(second)
        return first, second, third, self.layer4(third)

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, _BasicBlock):
                nn.init.zeros_(module.bn2.weight)
            elif isinstance(module, _Bottleneck):
                nn.init.zeros_(module.bn3.weight)


def load_torchvision(network: ResNet, tensors: Mapping[str, Tensor]) -> None:
    """Copy the weights of torchvision's network of the same depth, without its classifier.

    Raises:
        ValueError: tensors are missing, unexpected, or of another shape: the weights belong to another network.
    """
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(_CLASSIFIER)}
    own = network.state_dict()
    wrong = sorted(kept.keys() ^ own.keys())
    wrong += sorted(n for n in kept.keys() & own.keys() if kept[n].shape != own[n].shape)
    if wrong:
        raise ValueError(
            f"not the weights of this ResNet: {len(wrong)} tensors differ in name or shape, first {wrong[0]}"
        )
    network.load_state_dict(dict(kept))


def _downsample(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    """Build the layer that maps a block's input to the shape of its output; None if they are equal."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


def to_channels_last(network: nn.Module) -> nn.Module:
    """Convert the kernels to the channels-last layout, which is faster on most machines; returns ``network``."""
    return network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]: torch's stub lacks it
