"""The module rearranges a trained U-Net for CPUs: channels last, each convolution as one large matrix product.

:class:`~hand_pose_ros.networks.diffusion.unet1d.UNet1d` has 6 to 24 positions along the joints, too few for fast
convolutions in torch and onnxruntime. Here the samples and positions are the rows of one matrix; normalisation,
its affine map, and scale and shift by the condition are one product and one sum; terms that depend on the time
step alone are in a table. The results are equal up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear, pad, silu

from hand_pose_ros import hand
from hand_pose_ros.networks.diffusion.unet1d import _TIME_FEATURES, UNet1d, _Block
from hand_pose_ros.networks.embeddings import ResidualBlock, sinusoidal_embedding


class RowUNet1d(nn.Module):
    """Arguments and result equal those of :class:`UNet1d`; the weights are rearranged copies, as buffers."""

    time: Tensor
    position: Tensor

    @torch.no_grad()
    def __init__(self, unet: UNet1d, steps: int) -> None:
        """``steps``: T of the diffusion, the length of the table of time steps."""
        super().__init__()
        self._length = unet._length
        every_step = torch.arange(steps, device=unet.position.device)
        self.register_buffer("time", unet.time(sinusoidal_embedding(every_step, _TIME_FEATURES)).clone())
        self.register_buffer("position", unet.position.t().clone())
        self.into = _RowConvolution(unet.into, unet._length)
        lengths = [unet._length >> level for level in range(len(unet.down) + 1)]
        self.down = _rearranged(_RowBlock, unet.down, lengths)
        self.downsample = _rearranged(_RowConvolution, unet.downsample, lengths)
        self.middle = _RowBlock(unet.middle, lengths[-1])
        self.dense = _RowDense(unet.dense, lengths[-1])
        self.upsample = _rearranged(_RowUpsampling, unet.upsample, lengths[:0:-1])
        self.up = _rearranged(_RowBlock, unet.up, lengths[-2::-1])
        self.norm = _RowNorm(cast(nn.GroupNorm, unet.out[0]))
        self.out = _RowConvolution(cast(nn.Conv1d, unet.out[2]), unet._length)

    def forward(self, noisy: Tensor, t: Tensor, features: Tensor, joints: Tensor) -> Tensor:
        """See :meth:`UNet1d.forward`; ``t`` may also be (1,), one step for all."""
        condition = silu(features + self.time[t]).unsqueeze(1)
        x = pad(torch.cat((noisy, joints), dim=-1), (0, 0, 0, self._length - hand.NUM_JOINTS))
        x = self.into(x) + self.position
        skips = []
        for block, downsample in zip(self.down, self.downsample, strict=True):
            x = block(x, condition)
            skips.append(x)
            x = downsample(x)
        x = self.dense(self.middle(x, condition))
        for upsample, block in zip(self.upsample, self.up, strict=True):
            x = block(torch.cat((upsample(x), skips.pop()), dim=-1), condition)
        return self.out(silu(self.norm(x)))[:, : hand.NUM_JOINTS]


def _rearranged(
    rows: Callable[[Any, int], nn.Module], layers: Iterable[Any], lengths: Iterable[int]
) -> nn.ModuleList:
    return nn.ModuleList(map(rows, layers, lengths))


class _RowConvolution(nn.Module):
    """A convolution over (n, length, channels) of width 1, or of width 3 with a border of zeros."""

    weight: Tensor
    bias: Tensor

    def __init__(self, convolution: nn.Conv1d, length: int) -> None:
        super().__init__()
        assert convolution.bias is not None
        self._length, self._stride = length, convolution.stride[0]
        self._outputs, self._inputs, self._width = convolution.weight.shape
        self.register_buffer("weight", convolution.weight.permute(0, 2, 1).flatten(1).clone())
        self.register_buffer("bias", convolution.bias.clone())

    def forward(self, x: Tensor) -> Tensor:
        if self._width > 1:
            x = pad(x, (0, 0, 1, 1))
            ends = range(self._length, self._length + self._width)
            x = torch.cat([x[:, i : end : self._stride] for i, end in enumerate(ends)], dim=-1)
        rows = linear(x.reshape(-1, self._width * self._inputs), self.weight, self.bias)
        return rows.view(-1, self._length // self._stride, self._outputs)


class _RowUpsampling(nn.Module):
    """The transposed convolution of width and stride 2: every row becomes two."""

    weight: Tensor
    bias: Tensor

    def __init__(self, convolution: nn.ConvTranspose1d, length: int) -> None:
        super().__init__()
        assert convolution.bias is not None
        self._inputs, self._outputs, _ = convolution.weight.shape
        self._length = 2 * length
        self.register_buffer("weight", convolution.weight.permute(2, 1, 0).flatten(0, 1).clone())
        self.register_buffer("bias", convolution.bias.repeat(2))

    def forward(self, x: Tensor) -> Tensor:
        rows = linear(x.reshape(-1, self._inputs), self.weight, self.bias)
        return rows.view(-1, self._length, self._outputs)


class _RowNorm(nn.Module):
    """Group normalisation of (n, length, channels), then scale and shift (n, 1, channels) if given."""

    averages: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        size = norm.num_channels // norm.num_groups
        self._epsilon = norm.eps
        # A product with this matrix averages over each group, which is cheaper than regrouping the channels.
        averages = torch.block_diag(*[torch.full((size, size), 1 / size)] * norm.num_groups)
        self.register_buffer("averages", averages.to(norm.weight))
        self.register_buffer("weight", norm.weight.clone())
        self.register_buffer("bias", norm.bias.clone())

    def forward(self, x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        deviations = x - x.mean(1, keepdim=True) @ self.averages
        variance = (deviations * deviations).mean(1, keepdim=True) @ self.averages
        factor, offset = self.weight, self.bias
        if scale is not None and shift is not None:
            factor, offset = factor * (1 + scale), offset * (1 + scale) + shift
        return deviations * (factor / (variance + self._epsilon).sqrt()) + offset


class _RowBlock(nn.Module):
    """The block of the U-Net; the activation of the condition has already been applied."""

    weight: Tensor
    bias: Tensor

    def __init__(self, block: _Block, length: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = _RowNorm(block.norm1), _RowNorm(block.norm2)
        self.conv1, self.conv2 = _RowConvolution(block.conv1, length), _RowConvolution(block.conv2, length)
        self.skip = (
            nn.Identity() if isinstance(block.skip, nn.Identity) else _RowConvolution(block.skip, length)
        )
        self.register_buffer("weight", block.condition.weight.clone())
        self.register_buffer("bias", block.condition.bias.clone())

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = linear(condition, self.weight, self.bias).chunk(2, dim=-1)
        hidden = self.conv1(silu(self.norm1(x)))
        return self.skip(x) + self.conv2(silu(self.norm2(hidden, scale, shift)))


class _RowDense(nn.Module):
    """The residual block across all channels and positions, which the U-Net orders channel by channel."""

    norm_weight: Tensor
    norm_bias: Tensor
    first_weight: Tensor
    first_bias: Tensor
    second_weight: Tensor
    second_bias: Tensor

    def __init__(self, block: ResidualBlock, length: int) -> None:
        super().__init__()
        width = block.norm.normalized_shape[0]
        order = torch.arange(width, device=block.norm.weight.device).view(-1, length).t().flatten()
        self._width, self._length, self._epsilon = width, length, block.norm.eps
        tensors = {
            "norm_weight": block.norm.weight[order],
            "norm_bias": block.norm.bias[order],
            "first_weight": block.first.weight[:, order],
            "first_bias": block.first.bias,
            "second_weight": block.second.weight[order],
            "second_bias": block.second.bias[order],
        }
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor.clone())

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1, self._width)
        hidden = layer_norm(flat, (self._width,), self.norm_weight, self.norm_bias, self._epsilon)
        hidden = silu(linear(hidden, self.first_weight, self.first_bias))
        flat = flat + linear(hidden, self.second_weight, self.second_bias)
        return flat.view(-1, self._length, self._width // self._length)
