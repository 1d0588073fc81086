"""The 2.5D network maps crops of right hands to image points, relative depths, their spread, and heatmaps.

Its four variants share inputs and outputs; :class:`HeatmapConfig` names one.
"""

from __future__ import annotations

import math
from typing import ClassVar, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from hand_pose_ros import hand
from hand_pose_ros.common.shapes import check_shape
from hand_pose_ros.networks.heatmap.config import DIRECT, FAST, HOLISTIC, HeatmapConfig
from hand_pose_ros.networks.heatmap.holistic import HolisticRegressor
from hand_pose_ros.networks.heatmap.landmark_encoder import (
    ENCODER_CHANNELS,
    POOLED_CHANNELS,
    LandmarkEncoder,
    PointRegression,
)
from hand_pose_ros.networks.heatmap.presence import PresenceHead
from hand_pose_ros.networks.heatmap.readouts import direct_points
from hand_pose_ros.networks.heatmap.stages import StackedMaps
from hand_pose_ros.networks.image.heatmap_head import (
    FIRST_BETA,
    HeatmapHead,
    HeatmapPoints,
    latent_points,
    normal_log_density,
)
from hand_pose_ros.networks.image.image_encoder import RGB_DEVIATION, RGB_MEAN

_FIRST_DEVIATION: Final = 0.1  # of the prior of the fast variant, from -1 to 1 across the crop

__all__ = ["HeatmapConfig", "HeatmapNetwork", "StageOutput"]


class StageOutput(NamedTuple):
    """Output of one stage.

    joints: what is read from it, depths relative to the root. maps: (n, 63, h, w) before the read-out, heat of 21
    joints, then depth, then log sigma; None if the variant has no maps to supervise. hand: (n, 2) logits of a
    hand and of a right one; None without ``presence``.
    """

    joints: HeatmapPoints
    maps: Tensor | None
    hand: Tensor | None = None


class HeatmapNetwork(nn.Module):
    """The network of one variant."""

    config_class: ClassVar = HeatmapConfig

    def __init__(self, config: HeatmapConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or HeatmapConfig()
        if config.variant == HOLISTIC:
            self.holistic = HolisticRegressor(config.resnet_depth)
        elif config.variant == FAST:
            self.encoder = LandmarkEncoder()
            self.decoder = HeatmapHead(ENCODER_CHANNELS[1:], config.width)
            self.regression = PointRegression()
            self.log_deviation = nn.Parameter(torch.full((hand.NUM_JOINTS,), math.log(_FIRST_DEVIATION)))
            if config.presence:
                self.presence = PresenceHead(POOLED_CHANNELS)
        else:
            self.body = StackedMaps(config)
            if config.variant != DIRECT:
                first = torch.full((config.stages, hand.NUM_JOINTS), math.log(FIRST_BETA))
                self.log_beta = nn.Parameter(first)

    @property
    def beta(self) -> Tensor:
        """The learned sharpness of eq. 14 of each joint (21,), of the last stage.

        Raises:
            AttributeError: the variant learns none.
        """
        log_beta = self.decoder.log_beta if self.config.variant == FAST else self.log_beta[-1]
        return log_beta.detach().exp()

    def forward(self, images: Tensor) -> HeatmapPoints:
        """Map n crops to the 2.5D poses of the last stage.

        Args:
            images: (n, 3, image_size, image_size) RGB in [0, 1], of right hands: crops of left hands mirrored.

        Returns:
            Points from -1 to 1 across the crop, depths relative to the root joint in lengths of ``config.bone``,
            positive = away. The holistic variant's ``log_heat`` is empty, (n, 21, 0, 0).
        """
        return self.stages(images)[-1].joints

    def stages(self, images: Tensor) -> list[StageOutput]:
        """Return the outputs of all stages, for images as :meth:`forward` takes them; training supervises each."""
        size, variant = self.config.image_size, self.config.variant
        check_shape("images", images, (3, size, size))
        if variant == FAST:
            maps = self.encoder(images)
            pooled = self.regression.pooled(maps[-1])
            is_hand = self.presence(pooled) if self.config.presence else None
            return [StageOutput(_relative(self._fast_points(maps, pooled)), None, is_hand)]
        images = _normalised(images)
        if variant == HOLISTIC:
            return [StageOutput(_relative(self.holistic(images)), None)]
        maps = self.body(images)
        if variant == DIRECT:
            return [StageOutput(_relative(direct_points(one)), one) for one in maps]
        read = (latent_points(one, log_beta) for one, log_beta in zip(maps, self.log_beta, strict=True))
        return [StageOutput(_relative(joints), one) for joints, one in zip(read, maps, strict=True)]

    def _fast_points(self, maps: list[Tensor], pooled: Tensor) -> HeatmapPoints:
        """The heatmaps of the decoder, times normal distributions around the points that the encoder regresses."""
        points, depth = self.regression(pooled)
        with torch.autocast(points.device.type, enabled=False):
            points = points.float()
            # Gradients pass outside of the crop, too: a point there would else be lost for good.
            centres = points + (points.clamp(-1, 1) - points).detach()
            prior = normal_log_density(centres, self.log_deviation, self.config.map_size)
        joints = self.decoder(maps[1:], prior)
        return joints._replace(depth=joints.depth + depth.float())

    def hand_logits(self, images: Tensor) -> Tensor:
        """Return the logits (n, 2) of a hand and of a right one, without the maps.

        Raises:
            AttributeError: the network states neither.
        """
        return self.presence(self.regression.pooled(self.encoder(images)[-1]))


def network_images(crops: np.ndarray | Tensor, device: torch.device | str = "cpu") -> Tensor:
    """Convert (n, s, s, 3) uint8 BGR to the network's input: (n, 3, s, s) float32 RGB in [0, 1], channels last."""
    return (torch.as_tensor(crops).to(device).flip(-1).float() / 255).permute(0, 3, 1, 2)


def _normalised(images: Tensor) -> Tensor:
    mean, deviation = (images.new_tensor(values)[:, None, None] for values in (RGB_MEAN, RGB_DEVIATION))
    return (images - mean) / deviation


def _relative(joints: HeatmapPoints) -> HeatmapPoints:
    return joints._replace(depth=joints.depth - joints.depth[:, hand.WRIST, None])
