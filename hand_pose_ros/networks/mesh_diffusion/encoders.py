"""Image encoders of the mesh diffusion network: each gives a feature map and an embedding of the image."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from hand_pose_ros.common.shapes import check_shape
from hand_pose_ros.networks.image.image_encoder import normalised
from hand_pose_ros.networks.image.resnet import STRIDES, ResNet
from hand_pose_ros.networks.mesh_diffusion.config import MeshEncoderConfig
from hand_pose_ros.networks.orientation.features import SHAPE


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


def make_encoder(width: int, config: MeshEncoderConfig) -> LandmarkFeatures | ResNetFeatures:
    """Build the encoder that the configuration names."""
    return LandmarkFeatures(width) if config.kind == "landmark_features" else ResNetFeatures(width, config)
