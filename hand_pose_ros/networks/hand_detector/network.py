"""The detector maps an image to the places, sides, sizes and rough joints of its hands, all on one map.

It follows CenterNet (Zhou et al., Objects as Points, 2019): a hand is the cell of its box's middle, without
anchors. The encoder is that of the fast 2.5D network up to stride 16, and may start from the landmark network's
weights. Two more blocks reach stride 32, where a cell covers the whole image.
"""

from __future__ import annotations

import math
from typing import ClassVar, Final, NamedTuple

from torch import Tensor, nn

from hand_pose_ros import hand
from hand_pose_ros.common.shapes import check_shape
from hand_pose_ros.networks.hand_detector.config import HandDetectorConfig
from hand_pose_ros.networks.heatmap.landmark_encoder import (
    ENCODER_CHANNELS,
    BlockLayout,
    InvertedResidual,
    LandmarkEncoder,
)
from hand_pose_ros.networks.image.heatmap_head import TopDown, mix_block

SIDES: Final = ("left", "right")
"""Classes of the heat maps."""
_ENCODER_BLOCKS: Final = 7  # up to stride 16, without the 112 channels
_LEVELS: Final = slice(2, 4)  # of the encoder's maps: strides 8 and 16
_DEEP: Final = 128
_FIRST_SCORE: Final = 0.02  # of every cell before training: nearly all cells are empty


class DetectorMaps(NamedTuple):
    """Outputs for n images, in cells of :data:`STRIDE` pixels.

    heat: (n, 2, h, w) logits of a hand's middle, left and right. log_size: (n, 1, h, w) logarithm of the larger
    side of the box around the joints, cells. points: (n, 42, h, w) offsets x, y of the joints from the cell's
    middle, in units of that size, joint by joint.
    """

    heat: Tensor
    log_size: Tensor
    points: Tensor


class HandDetector(nn.Module):
    """The network; see :mod:`hand_pose_ros.networks.hand_detector.decoding` for what its maps mean."""

    config_class: ClassVar = HandDetectorConfig

    def __init__(self, config: HandDetectorConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or HandDetectorConfig()
        self.encoder = LandmarkEncoder(_ENCODER_BLOCKS)
        channels = ENCODER_CHANNELS[_LEVELS.start], self.encoder.channels
        self.deep = nn.Sequential(
            InvertedResidual(channels[-1], BlockLayout(_DEEP, 320, 5, 2)),
            InvertedResidual(_DEEP, BlockLayout(_DEEP, 384, 5, 1)),
        )
        self.neck = TopDown((*channels, _DEEP), config.width)
        self.trunk = mix_block(config.width, kernel=5)
        self.heat = nn.Conv2d(config.width, len(SIDES), 1)
        self.log_size = nn.Conv2d(config.width, 1, 1)
        self.points = nn.Conv2d(config.width, 2 * hand.NUM_JOINTS, 1)
        for layer in (self.heat, self.log_size, self.points):
            nn.init.normal_(layer.weight, std=0.01)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        assert self.heat.bias is not None
        nn.init.constant_(self.heat.bias, math.log(_FIRST_SCORE / (1 - _FIRST_SCORE)))

    def forward(self, images: Tensor) -> DetectorMaps:
        """Map images (n, 3, image_size, image_size), RGB in [0, 1], to maps of ``config.map_size``."""
        size = self.config.image_size
        check_shape("images", images, (3, size, size))
        maps = self.encoder(images)[_LEVELS]
        x = self.trunk(self.neck((*maps, self.deep(maps[-1]))))
        return DetectorMaps(self.heat(x), self.log_size(x), self.points(x))
