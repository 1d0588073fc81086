"""Image encoders of the mesh diffusion network: each gives a feature map and an embedding of the image."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from hand_pose_ros.common.shapes import check_shape
from hand_pose_ros.networks.image.image_encoder import normalised
from hand_pose_ros.networks.image.resnet import STRIDES, ResNet
from hand_pose_ros.networks.mesh_diffusion.config import LANDMARK_FEATURES, RESNET, MeshEncoderConfig
from hand_pose_ros.networks.orientation.features import SHAPE
from hand_pose_ros.networks.orientation.network import WIDE, LandmarkBlocks


class EncodedImage(NamedTuple):
    """n encoded images. feature_map: (n, width, h, w). embedding: (n, width)."""

    feature_map: Tensor
    embedding: Tensor


class LandmarkFeatures(nn.Module):
    """The encoder of features inside MediaPipe's landmark network, which a detection has anyway.

    The crops of left hands are not mirrored, but their meshes are those of right hands: the map of a left hand is
    mirrored here, so that each cell is at its place in the mirrored crop, and the side is an input.

    map_size: (h, w) of the feature map.
    """

    map_size: Final = SHAPE[1:]

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(SHAPE[0], width, 3, padding=1)
        self.pooled = nn.Sequential(
            nn.Linear(SHAPE[0] + width + 1, width), nn.SiLU(), nn.Linear(width, width)
        )

    def forward(self, inputs: Tensor, sign: Tensor) -> EncodedImage:
        """Encode features (n, 192, 7, 7).

        Args:
            sign: (n,) +1 for a right hand, -1 for a left one.
        """
        check_shape("features", inputs, SHAPE)
        mirrored = torch.where((sign < 0)[:, None, None, None], inputs.flip(-1), inputs)
        feature_map = self.project(mirrored)
        means = mirrored.mean((-2, -1)), torch.relu(feature_map).mean((-2, -1)), sign[:, None]
        return EncodedImage(feature_map, self.pooled(torch.cat(means, dim=-1)))


class ContinuedFeatures(nn.Module):
    """The encoder that continues the landmark network's features by that network's last block and expansion.

    They start from weights of an orientation network, which has the same layers. A left hand's map is mirrored
    after them; the mean over the image has a layer for each side.

    map_size: (h, w) of the feature map.
    """

    map_size: Final = SHAPE[1:]

    def __init__(self, width: int) -> None:
        super().__init__()
        self.landmark = LandmarkBlocks()
        self.project = nn.Conv2d(SHAPE[0], width, 1)
        self.of_sides = nn.ModuleList(nn.Linear(WIDE, 2 * width) for _ in range(2))
        self.pooled = nn.Sequential(nn.SiLU(), nn.Linear(2 * width, width))

    def forward(self, inputs: Tensor, sign: Tensor) -> EncodedImage:
        """See :class:`LandmarkFeatures`."""
        return self.after_blocks(*self.blocks(inputs), sign)

    def blocks(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the block's map (n, 192, 7, 7), and the mean of the expansion over the image, (n, 1152)."""
        narrow, wide = self.landmark.maps(inputs)
        return narrow, wide.mean((-2, -1))

    def after_blocks(self, narrow: Tensor, means: Tensor, sign: Tensor) -> EncodedImage:
        """Encode what :meth:`blocks` returns, which may have been stored while the blocks do not change."""
        left = (sign < 0)[:, None]
        feature_map = self.project(torch.where(left[..., None, None], narrow.flip(-1), narrow))
        right_layer, left_layer = self.of_sides
        of_side = torch.where(left, left_layer(means), right_layer(means))
        return EncodedImage(feature_map, self.pooled(of_side))


class ResNetFeatures(nn.Module):
    """The encoder of crops by a ResNet; its last map, at stride 32, is the feature map.

    map_size: (h, w) of the feature map.
    """

    def __init__(self, width: int, config: MeshEncoderConfig) -> None:
        super().__init__()
        self.size_px = config.size_px
        self.map_size = (config.size_px // STRIDES[-1],) * 2
        self.resnet = ResNet(config.depth)
        self.project = nn.Conv2d(self.resnet.channels[-1], width, 1)
        self.pooled = nn.Linear(self.resnet.channels[-1], width)

    def forward(self, inputs: Tensor | np.ndarray, sign: Tensor) -> EncodedImage:  # noqa: ARG002
        """Encode crops (n, s, s, 3) uint8 BGR of right hands, and of left ones mirrored; the sign is not read."""
        inputs = torch.as_tensor(inputs)
        check_shape("crops", inputs, (self.size_px, self.size_px, 3))
        last = self.resnet(normalised(inputs, self.pooled.weight.device))[-1]
        return EncodedImage(self.project(last), self.pooled(last.mean((-2, -1))))


def make_encoder(
    width: int, config: MeshEncoderConfig
) -> LandmarkFeatures | ContinuedFeatures | ResNetFeatures:
    """Build the encoder that the configuration names."""
    if config.kind == RESNET:
        return ResNetFeatures(width, config)
    return LandmarkFeatures(width) if config.kind == LANDMARK_FEATURES else ContinuedFeatures(width)
