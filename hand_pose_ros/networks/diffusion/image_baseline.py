"""The image baseline regresses a valid hand from an image encoder, without diffusion (paper, 2.2)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

from torch import Tensor, nn

from hand_pose_ros.networks.diffusion.baseline import HandRegressor, HandRegressorConfig
from hand_pose_ros.networks.image.image_encoder import (
    ImageEncoder,
    ImageEncoderConfig,
    ImageFeatures,
    image_condition,
)
from hand_pose_ros.networks.network_config import NetworkConfig


@dataclass(frozen=True)
class HandImageRegressorConfig(NetworkConfig):
    """Everything that is needed to rebuild both networks; the regressor's condition takes the encoder's output."""

    image: ImageEncoderConfig = field(default_factory=ImageEncoderConfig)
    regressor: HandRegressorConfig = field(default_factory=HandRegressorConfig)

    def __post_init__(self) -> None:
        condition = replace(
            self.regressor.condition, image_features=self.image.condition_size, image_joints=True
        )
        object.__setattr__(self, "regressor", replace(self.regressor, condition=condition))


class HandImageRegressor(nn.Module):
    """The network combines the encoder ``image`` and the ``regressor`` that it conditions."""

    config_class: ClassVar = HandImageRegressorConfig

    def __init__(self, config: HandImageRegressorConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or HandImageRegressorConfig()
        self.image = ImageEncoder(config.image)
        self.regressor = HandRegressor(config.regressor)

    def encode_images(self, images: Tensor, half_extent: Tensor) -> tuple[ImageFeatures, Tensor]:
        """See ``HandImageDiffusion.encode_images``."""
        features = self.image(images)
        return features, image_condition(features, half_extent)
