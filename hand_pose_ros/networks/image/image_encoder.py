"""The image encoder maps a crop of a right hand in the canonical view to features, 2.5D keypoints and presence.

The features come from a ResNet, average pooling and one hidden layer (diffusion + FK paper, 2.1). The latent 2.5D
heatmaps of :mod:`hand_pose_ros.networks.image.heatmap_head` keep the positions that pooling loses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from hand_pose_ros import hand
from hand_pose_ros.networks.condition import IMAGE_JOINT_FEATURES, log_field
from hand_pose_ros.networks.image.heatmap_head import HeatmapHead
from hand_pose_ros.networks.image.resnet import DEPTHS, STRIDES, ResNet
from hand_pose_ros.networks.network_config import NetworkConfig

_MOST_SIZE_PX = 4096
RGB_MEAN, RGB_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's RGB, in [0, 1]."""


class ImageFeatures(NamedTuple):
    """The encoder's output for n crops.

    features: (n, features). points: (n, 21, 2) joints in half extents of the crop's view. depth: (n, 21) relative
    to the wrist, anchor lengths, positive = away. sigma: (n, 21) expected mean absolute error of x and of y,
    half extents. presence: (n,) logit that the crop shows a right hand near the position that the view expects.
    log_heat: (n, 21, h, w) logarithms of heatmaps over the crop, each of which sums to 1.
    """

    features: Tensor
    points: Tensor
    depth: Tensor
    sigma: Tensor
    presence: Tensor
    log_heat: Tensor


@dataclass(frozen=True)
class ImageEncoderConfig(NetworkConfig):
    """Everything that is needed to rebuild the encoder and to cut its crops.

    depth: depth of the ResNet. features: width of the hidden layer. head_channels: channels of the heatmap head.
    size_px: size of the crops. margin: the crops span +-margin half extents of the view.
    projection: output width of the layers that only the contrastive loss uses; 0 for none.
    """

    depth: int = 18
    features: int = 256
    head_channels: int = 96
    size_px: int = 128
    margin: float = 1.5
    projection: int = 0

    def __post_init__(self) -> None:
        if self.depth not in DEPTHS:
            raise ValueError(f"depth must be one of {DEPTHS}, got {self.depth}")
        if self.projection < 0 or self.projection % 2:
            raise ValueError(f"projection must be even and not negative, got {self.projection}")
        if self.features < 1 or self.head_channels < 1 or not self.margin > 0:
            raise ValueError(f"features, head_channels and margin must be positive, got {self}")
        if not STRIDES[-1] <= self.size_px <= _MOST_SIZE_PX or self.size_px % STRIDES[-1]:
            raise ValueError(
                f"size_px must be a multiple of {STRIDES[-1]}, at most {_MOST_SIZE_PX}, got {self.size_px}"
            )

    @property
    def condition_size(self) -> int:
        """Number of features per hand that :func:`image_condition` returns."""
        return self.features + 1 + IMAGE_JOINT_FEATURES * hand.NUM_JOINTS


class ImageEncoder(nn.Module):
    """The encoder maps crops to :class:`ImageFeatures`."""

    def __init__(self, config: ImageEncoderConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or ImageEncoderConfig()
        self.resnet = ResNet(config.depth)
        self.heatmaps = HeatmapHead(self.resnet.channels, config.head_channels)
        self.hidden = nn.Sequential(nn.Linear(self.resnet.channels[-1], config.features), nn.SiLU())
        self.present = nn.Linear(config.features, 1)
        if config.projection:
            self.projection = nn.Sequential(
                nn.Linear(config.features, config.features),
                nn.SiLU(),
                nn.Linear(config.features, config.projection),
            )

    def forward(self, images: Tensor) -> ImageFeatures:
        """Encode images (n, 3, s, s) of :func:`normalised`, s a multiple of 32; the outputs are float32."""
        maps = self.resnet(images)
        features = self.hidden(maps[-1].mean((-2, -1)))
        joints = self.heatmaps(maps)
        margin = self.config.margin
        return ImageFeatures(
            features.float(),
            joints.points * margin,
            joints.depth - joints.depth[:, :1],
            joints.log_sigma.exp() * margin,
            self.present(features).float()[:, 0],
            joints.log_heat,
        )


def normalised(images: np.ndarray | Tensor, device: torch.device | str = "cpu") -> Tensor:
    """Convert (n, s, s, 3) uint8 BGR to the encoder's input: (n, 3, s, s) float32 RGB, channels last in memory."""
    images = torch.as_tensor(images).to(device).flip(-1).float()
    mean, deviation = (255 * images.new_tensor(values) for values in (RGB_MEAN, RGB_DEVIATION))
    return ((images - mean) / deviation).permute(0, 3, 1, 2)


def image_condition(encoded: ImageFeatures, half_extent: Tensor) -> Tensor:
    """Return the image condition of the diffusion network for n crops, (n, condition_size).

    It holds the features, the field of view, and x, y, depth and log sigma of each joint. Gradients of the
    diffusion flow into the features but not into the joints, which their own labels train better.

    Args:
        half_extent: (n,) of the crops' views.
    """
    log_sigma = encoded.sigma.log()
    joints = torch.cat((encoded.points, encoded.depth[..., None], log_sigma[..., None]), dim=-1).detach()
    field = log_field(half_extent)[:, None].to(encoded.features)
    return torch.cat((encoded.features, field, joints.flatten(1)), dim=-1)
