"""The baseline without diffusion regresses angles and proportions, then applies FK (diffusion + FK paper, 2.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from hand_pose_ros.networks.condition import ConditionConfig, ConditionEncoder, KeypointCondition
from hand_pose_ros.networks.hand_head import HandHead, HandParameters
from hand_pose_ros.networks.network_config import NetworkConfig


@dataclass(frozen=True)
class HandRegressorConfig(NetworkConfig):
    """Sizes of encoder and head."""

    head_width: int = 512
    head_blocks: int = 2
    condition: ConditionConfig = field(default_factory=ConditionConfig)


class HandRegressor(nn.Module):
    """The network regresses one valid hand for each condition."""

    config_class: ClassVar = HandRegressorConfig

    def __init__(self, config: HandRegressorConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or HandRegressorConfig()
        self.encoder = ConditionEncoder(config.condition)
        self.head = HandHead(config.condition.width, config.head_width, config.head_blocks)

    def forward(
        self,
        keypoints: KeypointCondition | None,
        image_features: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> HandParameters:
        """Regress n hands; see :class:`ConditionEncoder` for the arguments."""
        return self.head(self.encoder(keypoints, image_features, generator).features)
