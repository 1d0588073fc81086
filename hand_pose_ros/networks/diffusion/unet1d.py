"""The denoising network is a U-Net along the 21 joints (diffusion + FK paper, 2.5)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from hand_pose_ros import hand
from hand_pose_ros.networks.embeddings import ResidualBlock, sinusoidal_embedding

_GROUPS = 8
_TIME_FEATURES = 64


class UNet1d(nn.Module):
    """The U-Net maps noisy joints, step and condition to a prediction for each joint.

    The convolutions run along the joints in the order of ``hand.JOINT_NAMES``; each joint has its three noisy
    coordinates and its own condition. The time step and the condition of the whole hand scale and shift the
    channels of every block. At the coarsest resolution a dense layer connects all fingers.
    """

    def __init__(self, joint_features: int, features: int, channels: Sequence[int] = (48, 64, 96)) -> None:
        """``channels``: of each resolution, the finest first; the 21 joints are padded to fit the coarsest."""
        super().__init__()
        if any(count % _GROUPS for count in channels):
            raise ValueError(f"channels must be multiples of {_GROUPS}, got {list(channels)}")
        self._length = -(-hand.NUM_JOINTS // 2 ** (len(channels) - 1)) * 2 ** (len(channels) - 1)
        self.time = nn.Sequential(
            nn.Linear(_TIME_FEATURES, features), nn.SiLU(), nn.Linear(features, features)
        )
        self.position = nn.Parameter(torch.zeros(channels[0], self._length))
        self.into = nn.Conv1d(3 + joint_features, channels[0], 3, padding=1)
        pairs = list(pairwise(channels))
        self.down = nn.ModuleList(_Block(count, count, features) for count in channels[:-1])
        self.downsample = nn.ModuleList(nn.Conv1d(a, b, 3, stride=2, padding=1) for a, b in pairs)
        self.middle = _Block(channels[-1], channels[-1], features)
        self.dense = ResidualBlock(channels[-1] * (self._length >> len(pairs)))
        self.upsample = nn.ModuleList(nn.ConvTranspose1d(b, a, 2, stride=2) for a, b in reversed(pairs))
        self.up = nn.ModuleList(_Block(2 * count, count, features) for count in reversed(channels[:-1]))
        self.out = nn.Sequential(
            nn.GroupNorm(_GROUPS, channels[0]), nn.SiLU(), nn.Conv1d(channels[0], 3, 3, padding=1)
        )
        nn.init.normal_(self.position, std=0.02)

    def forward(self, noisy: Tensor, t: Tensor, features: Tensor, joints: Tensor) -> Tensor:
        """Predict for noisy joints (n, 21, 3) at steps ``t`` (n,).

        Args:
            features: (n, features) condition of the hand. joints: (n, 21, joint_features) condition of each joint.
        """
        features = features + self.time(sinusoidal_embedding(t, _TIME_FEATURES).to(features))
        x = torch.cat((noisy, joints.to(noisy)), dim=-1).transpose(1, 2)
        x = nn.functional.pad(x, (0, self._length - hand.NUM_JOINTS))
        x = self.into(x) + self.position
        skips = []
        for block, downsample in zip(self.down, self.downsample, strict=True):
            x = block(x, features)
            skips.append(x)
            x = downsample(x)
        x = self.middle(x, features)
        x = self.dense(x.flatten(1)).view_as(x)
        for upsample, block in zip(self.upsample, self.up, strict=True):
            x = block(torch.cat((upsample(x), skips.pop()), dim=1), features)
        return self.out(x)[..., : hand.NUM_JOINTS].transpose(1, 2)


class _Block(nn.Module):
    """The block has two convolutions; between them the condition scales and shifts the channels."""

    def __init__(self, inputs: int, outputs: int, features: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(_GROUPS, inputs)
        self.conv1 = nn.Conv1d(inputs, outputs, 3, padding=1)
        self.condition = nn.Linear(features, 2 * outputs)
        self.norm2 = nn.GroupNorm(_GROUPS, outputs)
        self.conv2 = nn.Conv1d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        for parameter in self.conv2.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        hidden = self.conv1(nn.functional.silu(self.norm1(x)))
        scale, shift = self.condition(nn.functional.silu(features))[..., None].chunk(2, dim=1)
        hidden = self.norm2(hidden) * (1 + scale) + shift
        return self.skip(x) + self.conv2(nn.functional.silu(hidden))
