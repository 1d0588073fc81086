"""The orientation network maps features of MediaPipe's landmark network to a hand's root rotation and depths.

The landmark network's first blocks run once per hand anyway. This network continues from their output with blocks
of the same shape, which start from the landmark network's own weights, and a small head. Each output has a
standard deviation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import relu6, silu, softplus

from hand_pose_ros import hand
from hand_pose_ros.common.shapes import check_shape
from hand_pose_ros.networks.imported.network import ImportedNetwork
from hand_pose_ros.networks.network_config import NetworkConfig
from hand_pose_ros.networks.orientation.features import NEXT_OPERATION, SHAPE
from hand_pose_ros.rotations import orthogonalise

WIDE: Final = 1152
"""Channels of the expansion."""
_BLOCKS: Final = 1
_ROTATION: Final = 9
_DEPTHS: Final = hand.NUM_JOINTS - 1
_OUTPUTS: Final = _ROTATION + 3 + 2 * _DEPTHS
_LEAST_ROTATION: Final = 0.03
_LEAST_DEPTH: Final = 0.02
# The palm faces the camera with the fingers up: the right hand's wrist frame in the crop's axes.
_PALM_UP: Final = (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0)


class HandOrientation(NamedTuple):
    """Orientation of n hands in the axes of their crops, as right hands: crops of left hands mirrored.

    rotation: (n, 3, 3) wrist frame -> crop. sigma: (n, 3) standard deviation of its small rotation about the
    crop's axes x, y, z, rad. depth: (n, 21) of the joints along the crop's z, relative to the wrist, in anchor
    lengths. depth_sigma: (n, 21) its standard deviation; 0 for the wrist.
    """

    rotation: Tensor
    sigma: Tensor
    depth: Tensor
    depth_sigma: Tensor


@dataclass(frozen=True)
class OrientationConfig(NetworkConfig):
    """Everything that is needed to rebuild the network.

    width: of the head's hidden layer. dropout: in training, of the pooled features.
    """

    width: int = 256
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if not 1 <= self.width <= 4096 or not 0 <= self.dropout < 1:
            raise ValueError("width must lie in [1, 4096] and dropout in [0, 1)")


class LandmarkBlocks(nn.Module):
    """The landmark network's last layers before the mean over the image: inverted residual block, expansion."""

    def __init__(self) -> None:
        super().__init__()
        channels = SHAPE[0]
        self.blocks = nn.ModuleList(_Block(channels, WIDE) for _ in range(_BLOCKS))
        self.expand = nn.Conv2d(channels, WIDE, 1)
        self.depthwise = nn.Conv2d(WIDE, WIDE, 3, padding=1, groups=WIDE)

    def maps(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the maps (n, 192, 7, 7) of the block and (n, 1152, 7, 7) of the expansion."""
        check_shape("features", features, SHAPE)
        for block in self.blocks:
            features = block(features)
        return features, relu6(self.depthwise(relu6(self.expand(features))))


class OrientationNetwork(LandmarkBlocks):
    """An inverted residual block, a last expansion, the mean over the image, and an MLP of two layers."""

    config_class: ClassVar = OrientationConfig

    def __init__(self, config: OrientationConfig | None = None) -> None:
        super().__init__()
        self.config = config or OrientationConfig()
        self.dropout = nn.Dropout(self.config.dropout)
        self.hidden = nn.Linear(WIDE + 1, self.config.width)
        self.out = nn.Linear(self.config.width, _OUTPUTS)
        with torch.no_grad():
            self.out.weight.mul_(0.1)
            self.out.bias.zero_()
            self.out.bias[:_ROTATION] = torch.tensor(_PALM_UP)

    def pooled(self, features: Tensor) -> Tensor:
        """Return the mean (n, 1152) over the image of the last map, for features (n, 192, 7, 7)."""
        return self.maps(features)[1].mean((2, 3))

    def head(self, pooled: Tensor, sign: Tensor) -> Tensor:
        """Return the outputs (n, 52), for :func:`orientation_from_raw`, of means (n, 1152) and sides (n,)."""
        return self.out(silu(self.hidden(torch.cat((self.dropout(pooled), sign[:, None]), dim=1))))

    def forward(self, features: Tensor, sign: Tensor) -> HandOrientation:
        """Tell the orientation of n hands.

        Args:
            features: (n, 192, 7, 7) of crops as they are in the image. sign: (n,) +1 for a right hand, -1 for a
                left one, whose crop is not mirrored, but whose orientation is returned as that of a right hand.
        """
        return orientation_from_raw(self.raw(features, sign).float(), sign)

    def raw(self, features: Tensor, sign: Tensor) -> Tensor:
        """Return the outputs (n, 52) of :meth:`head` for features as :meth:`forward` takes them."""
        return self.head(self.pooled(features), sign)


class _Block(nn.Module):
    """An inverted residual block: expansion, 5 x 5 convolution of each channel, projection."""

    def __init__(self, channels: int, wide: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, wide, 1)
        self.depthwise = nn.Conv2d(wide, wide, 5, padding=2, groups=wide)
        self.project = nn.Conv2d(wide, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        wide = relu6(self.depthwise(relu6(self.expand(features))))
        return features + self.project(wide)


def orientation_from_raw(raw: Tensor, sign: Tensor) -> HandOrientation:
    """Map the head's outputs (n, 52) and the hands' sides (n,), +1 or -1, to their orientation.

    The outputs describe the crop as it is. A left hand in it has the rotation ``C R M`` of the right hand ``R`` in
    the mirrored crop, with ``C = diag(-1, 1, 1)`` and ``M = diag(1, -1, 1)``; depths are the same.
    """
    matrix, sigma = raw[:, : _ROTATION + 3].split((_ROTATION, 3), dim=-1)
    one = torch.ones_like(sign)
    across, of_wrist = torch.stack((sign, one, one), -1), torch.stack((one, sign, one), -1)
    matrix = matrix.unflatten(-1, (3, 3)) * across[:, :, None] * of_wrist[:, None, :]
    return HandOrientation(orthogonalise(matrix), _LEAST_ROTATION + softplus(sigma), *depths_from_raw(raw))


def depths_from_raw(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Map the head's outputs (n, 52) to the depths (n, 21) of :class:`HandOrientation`, and their deviations."""
    depth, sigma = raw[:, _ROTATION + 3 :].split((_DEPTHS, _DEPTHS), dim=-1)
    wrist = torch.zeros_like(depth[:, :1])
    return torch.cat((wrist, depth), dim=-1), torch.cat((wrist, _LEAST_DEPTH + softplus(sigma)), dim=-1)


def start_from_landmarks(network: LandmarkBlocks, imported: ImportedNetwork) -> None:
    """Copy the landmark network's last blocks into ``network``.

    Args:
        imported: the ``ImportedNetwork`` of ``hand_landmark_full.tflite``.

    Raises:
        ValueError: it is another network.
    """
    theirs = [one for one in imported.operations[NEXT_OPERATION:].modules() if isinstance(one, nn.Conv2d)]
    ours = [one for part in (network.blocks, network.expand, network.depthwise) for one in part.modules()]
    ours = [one for one in ours if isinstance(one, nn.Conv2d)]
    shapes = [[tuple(one.weight.shape) for one in layers] for layers in (theirs, ours)]
    if shapes[0] != shapes[1]:
        raise ValueError("the orientation network starts from hand_landmark_full.tflite only")
    with torch.no_grad():
        for source, target in zip(theirs, ours, strict=True):
            target.weight.copy_(source.weight)
            if source.bias is not None and target.bias is not None:
                target.bias.copy_(source.bias)
