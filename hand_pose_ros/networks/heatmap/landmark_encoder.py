"""The fast variant's encoder: MediaPipe's landmark network up to its last convolutions, as trainable blocks.

It is built from its layout alone and may take the landmark network's own weights, so a stored network needs no
MediaPipe file. It is fully convolutional and takes crops of any size that 32 divides.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu6

from hand_pose_ros.networks.imported.network import ImportedNetwork


class BlockLayout(NamedTuple):
    """An inverted residual block: outputs, expanded channels, side of the kernel, stride."""

    outputs: int
    wide: int
    kernel: int
    stride: int


_STEM: Final = 24
_FIRST: Final = 16
_BLOCKS: Final = (
    BlockLayout(24, 64, 3, 2),
    BlockLayout(24, 144, 3, 1),
    BlockLayout(40, 144, 5, 2),
    BlockLayout(40, 240, 5, 1),
    BlockLayout(80, 240, 3, 2),
    BlockLayout(80, 480, 3, 1),
    BlockLayout(80, 480, 3, 1),
    BlockLayout(112, 480, 5, 1),
    BlockLayout(112, 672, 5, 1),
    BlockLayout(112, 672, 5, 1),
    BlockLayout(192, 672, 5, 2),
    BlockLayout(192, 1152, 5, 1),
    BlockLayout(192, 1152, 5, 1),
)
ENCODER_CHANNELS: Final = (16, 24, 40, 112, 192)
"""Channels of the feature maps of strides 2, 4, 8, 16 and 32."""
LANDMARK_FILE: Final = "hand_landmark_full.tflite"
"""Stored network whose weights the encoder may take."""
_LAST_OPERATION: Final = 50  # of the landmark network's operations; from here on it needs only our last map


class LandmarkEncoder(nn.Module):
    """The blocks of ``hand_landmark_full.tflite`` that are convolutions of decreasing resolution.

    channels: of the coarsest map.
    """

    def __init__(self, blocks: int = len(_BLOCKS)) -> None:
        """``blocks``: how many of them, from the first; 13 is all."""
        super().__init__()
        self.stem = _Same(3, _STEM, 3, 2)
        self.depthwise = _Same(_STEM, _STEM, 3, 1, groups=_STEM)
        self.project = nn.Conv2d(_STEM, _FIRST, 1)
        layouts = _BLOCKS[:blocks]
        inputs = (_FIRST, *(layout.outputs for layout in layouts))
        self.blocks = nn.ModuleList(map(InvertedResidual, inputs, layouts))
        self.channels = inputs[-1]

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map images (n, 3, s, s) RGB in [0, 1] to maps (n, ENCODER_CHANNELS[i], s / 2^(i+1), s / 2^(i+1)).

        With fewer blocks there are fewer maps, and the last one has ``channels``.
        """
        x = self.project(relu6(self.depthwise(relu6(self.stem(images)))))
        maps = []
        for block, layout in zip(self.blocks, _BLOCKS, strict=False):
            if layout.stride == 2:
                maps.append(x)
            x = block(x)
        return [*maps, x]


class _Same(nn.Module):
    """A convolution padded by TensorFlow's rule SAME for even sizes, which puts the odd pixel last."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1) -> None:
        super().__init__()
        total = kernel - stride
        before, after = total // 2, total - total // 2
        even = before == after
        self.pads = [] if even else [before, after] * 2
        self.layer = nn.Conv2d(inputs, outputs, kernel, stride, before if even else 0, groups=groups)
        # PyTorch's CPU code for the gradients of these takes two to ten times as long in bfloat16 as in float32.
        self._slow_in_bfloat16 = groups > 1 and (kernel, stride) != (3, 1)

    def forward(self, x: Tensor) -> Tensor:
        if self.pads:
            x = pad(x, self.pads)
        if self._slow_in_bfloat16 and x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return self.layer(x.float()).to(x.dtype)
        return self.layer(x)


class InvertedResidual(nn.Module):
    """The block: it widens the channels, filters each by itself, and narrows them again."""

    def __init__(self, inputs: int, layout: BlockLayout) -> None:
        super().__init__()
        self.expand = nn.Conv2d(inputs, layout.wide, 1)
        self.depthwise = _Same(layout.wide, layout.wide, layout.kernel, layout.stride, groups=layout.wide)
        self.project = nn.Conv2d(layout.wide, layout.outputs, 1)
        self.is_residual = inputs == layout.outputs and layout.stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        hidden = self.project(relu6(self.depthwise(relu6(self.expand(x)))))
        return x + hidden if self.is_residual else hidden


def start_from_landmarks(encoder: LandmarkEncoder, imported: ImportedNetwork) -> None:
    """Copy the landmark network's weights into ``encoder``.

    Args:
        imported: the ``ImportedNetwork`` of ``hand_landmark_full.tflite``.

    Raises:
        ValueError: it is another network.
    """
    ours = _convolutions(encoder)
    theirs = _convolutions(imported.operations[:_LAST_OPERATION])[: len(ours)]
    shapes = [[tuple(one.weight.shape) for one in layers] for layers in (theirs, ours)]
    if shapes[0] != shapes[1]:
        raise ValueError("the fast network starts from hand_landmark_full.tflite only")
    with torch.no_grad():
        for source, target in zip(theirs, ours, strict=True):
            assert source.bias is not None
            assert target.bias is not None
            target.weight.copy_(source.weight)
            target.bias.copy_(source.bias)


def _convolutions(module: nn.Module) -> list[nn.Conv2d]:
    return [one for one in module.modules() if isinstance(one, nn.Conv2d)]
