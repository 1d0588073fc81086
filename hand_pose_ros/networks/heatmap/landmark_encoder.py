"""The fast variant's encoder: all blocks of MediaPipe's landmark network, and the layers that regress its points.

Both are built from their layout alone and may take the landmark network's own weights, so a stored network needs
no MediaPipe file. They are fully convolutional and take crops of any size that 32 divides; the landmark network's
own is 224 px.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, relu6

from hand_pose_ros import hand
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
    BlockLayout(192, 1152, 5, 1),
)
POOLED_CHANNELS: Final = 1152
ENCODER_CHANNELS: Final = (16, 24, 40, 112, 192)
"""Channels of the feature maps of strides 2, 4, 8, 16 and 32."""
LANDMARK_FILE: Final = "hand_landmark_full.tflite"
"""Stored network whose weights the encoder may take."""
LAST_OPERATION: Final = 54
"""Of the landmark network's operations: from here on it needs only our last map."""


class LandmarkEncoder(nn.Module):
    """The blocks of ``hand_landmark_full.tflite`` that are convolutions of decreasing resolution.

    channels: of the coarsest map.
    """

    def __init__(self, blocks: int = len(_BLOCKS)) -> None:
        """``blocks``: how many of them, from the first; 14 is all."""
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

    def freeze(self, blocks: int | None) -> None:
        """Do not train the first ``blocks`` blocks, nor what is before them; None for all blocks, 0 for none."""
        fixed = [self] if blocks is None else [self.stem, self.depthwise, self.project, *self.blocks[:blocks]]
        if blocks != 0:
            for part in fixed:
                part.requires_grad_(False)


class PointRegression(nn.Module):
    """The landmark network's layers behind its blocks: they regress the points from the mean over the crop."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Conv2d(ENCODER_CHANNELS[-1], POOLED_CHANNELS, 1)
        self.depthwise = _Same(POOLED_CHANNELS, POOLED_CHANNELS, 3, 1, groups=POOLED_CHANNELS)
        self.points = nn.Linear(POOLED_CHANNELS, 2 * hand.NUM_JOINTS)
        self.depth = nn.Linear(POOLED_CHANNELS, hand.NUM_JOINTS)
        nn.init.zeros_(self.depth.weight)
        nn.init.zeros_(self.depth.bias)

    def pooled(self, coarsest: Tensor) -> Tensor:
        """Map the encoder's coarsest map (n, 192, h, w) to features of the whole crop (n, 1152)."""
        return relu6(self.depthwise(relu6(self.expand(coarsest)))).mean((-2, -1))

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Map features of the whole crop to points (n, 21, 2), from -1 to 1 across it.

        Second comes what is added to the depths (n, 21), anchor lengths.
        """
        return self.points(pooled).unflatten(-1, (-1, 2)), self.depth(pooled)


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
        if self.pads and torch.onnx.is_in_onnx_export():
            layer, (before, after, *_) = self.layer, self.pads
            return _UnevenConvolution.apply(
                x, layer.weight, layer.bias, before, after, layer.stride[0], layer.groups
            )
        if self.pads:
            x = pad(x, self.pads)
        if self._slow_in_bfloat16 and x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return self.layer(x.float()).to(x.dtype)
        return self.layer(x)


class _UnevenConvolution(torch.autograd.Function):
    """A convolution whose padding differs from side to side: one node in ONNX, where PyTorch would write two.

    The node of a padding costs as much as that of its convolution.
    """

    @staticmethod
    def forward(
        _context: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        before: int,
        after: int,
        stride: int,
        groups: int,
    ) -> Tensor:
        return conv2d(pad(x, [before, after] * 2), weight, bias, stride, groups=groups)

    @staticmethod
    def symbolic(
        graph: Any, x: Any, weight: Any, bias: Any, before: int, after: int, stride: int, groups: int
    ) -> Any:
        pads = [before, before, after, after]
        return graph.op("Conv", x, weight, bias, pads_i=pads, strides_i=[stride] * 2, group_i=groups)


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
    copy_convolutions(imported.operations[:LAST_OPERATION], encoder)


def copy_convolutions(operations: nn.Module, target: nn.Module) -> None:
    """Copy the weights of the first convolutions of ``operations`` into those of ``target``, in order.

    Raises:
        ValueError: they have other shapes.
    """
    ours = _convolutions(target)
    theirs = _convolutions(operations)[: len(ours)]
    shapes = [[tuple(one.weight.shape) for one in layers] for layers in (theirs, ours)]
    if shapes[0] != shapes[1]:
        raise ValueError("the fast network starts from hand_landmark_full.tflite only")
    with torch.no_grad():
        for source, layer in zip(theirs, ours, strict=True):
            assert source.bias is not None
            assert layer.bias is not None
            layer.weight.copy_(source.weight)
            layer.bias.copy_(source.bias)


def _convolutions(module: nn.Module) -> list[nn.Conv2d]:
    return [one for one in module.modules() if isinstance(one, nn.Conv2d)]
