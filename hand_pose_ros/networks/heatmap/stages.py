"""The paper's encoder-decoder: skip connections, one number of channels, and one stage or more (appendix A.2).

The paper's Fig. 5 gives neither the number of layers nor their order in its text. Here every level of the encoder
and of the decoder has two 3x3 convolutions and every skip connection one. With one and two stages of width 256,
these are 16.6 and 33.2 million weights; the paper states 17 and 35 million.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d

from hand_pose_ros.networks.heatmap.config import HeatmapConfig
from hand_pose_ros.networks.image.heatmap_head import JOINT_MAPS

_FIRST_SPREAD = 0.01  # standard deviation of the last layer's weights


class EncoderDecoder(nn.Module):
    """One stage: features (n, width, s, s) to features of the same shape."""

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(_pair(width) for _ in range(levels + 1))
        self.skip = nn.ModuleList(_convolution(width, width) for _ in range(levels))
        self.up = nn.ModuleList(_pair(width) for _ in range(levels))

    def forward(self, x: Tensor) -> Tensor:
        """Map features whose size 2^levels divides."""
        skipped = []
        for down, skip in zip(self.down, self.skip, strict=False):
            x = down(x)
            skipped.append(skip(x))
            x = max_pool2d(x, 2)
        x = self.down[-1](x)
        for up, fine in zip(self.up, reversed(skipped), strict=True):
            x = up(interpolate(x, scale_factor=2.0, mode="nearest") + fine)
        return x


class StackedMaps(nn.Module):
    """The stages in a row; each returns maps of the joints, and all but the first also take the last maps.

    The first stage takes the features of the first convolutions. Each further stage takes these and the heat and
    depth maps of the stage before it (Fig. 6).
    """

    def __init__(self, config: HeatmapConfig) -> None:
        super().__init__()
        width = config.width
        self.stem = nn.Sequential(_convolution(3, width), _convolution(width, width))
        self.stages = nn.ModuleList(EncoderDecoder(width, config.levels) for _ in range(config.stages))
        self.maps = nn.ModuleList(nn.Conv2d(width, JOINT_MAPS, 1) for _ in range(config.stages))
        self.merge = nn.ModuleList(_convolution(width + _PASSED_ON, width) for _ in range(config.stages - 1))
        for layer in self.maps:
            assert isinstance(layer, nn.Conv2d)
            assert layer.bias is not None
            nn.init.normal_(layer.weight, std=_FIRST_SPREAD)
            nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the maps (n, 63, s, s) of each stage, the last one last, for normalised images (n, 3, s, s)."""
        first = x = self.stem(images)
        outputs: list[Tensor] = []
        for index, (stage, maps) in enumerate(zip(self.stages, self.maps, strict=True)):
            if index:
                x = self.merge[index - 1](torch.cat((first, outputs[-1][:, :_PASSED_ON]), dim=1))
            outputs.append(maps(stage(x)))
        return outputs


_PASSED_ON = JOINT_MAPS * 2 // 3  # heat and depth maps


def _pair(width: int) -> nn.Sequential:
    return nn.Sequential(_convolution(width, width), _convolution(width, width))


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
