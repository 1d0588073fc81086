"""The baseline without diffusion: condition -> angles and proportions -> FK (diffusion + FK paper, 2.2)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor, nn

from hand_pose_ros.networks.condition import ConditionConfig, ConditionEncoder, KeypointCondition
from hand_pose_ros.networks.hand_head import HandHead, HandParameters


@dataclass(frozen=True)
class HandRegressorConfig:
    """Sizes of the encoder and of the head."""

    head_width: int = 512
    head_blocks: int = 2
    condition: ConditionConfig = field(default_factory=ConditionConfig)

    def to_dict(self) -> dict:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> HandRegressorConfig:
        """The inverse of :meth:`to_dict`.

        Raises:
            ValueError: an unknown key or a bad value.
        """
        values = dict(values)
        try:
            return cls(condition=ConditionConfig(**values.pop("condition", {})), **values)
        except TypeError as error:
            raise ValueError(f"not the configuration of a hand regressor: {error}") from error


class HandRegressor(nn.Module):
    """One valid hand for each condition."""

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
        """See :class:`ConditionEncoder` for the arguments."""
        return self.head(self.encoder(keypoints, image_features, generator).features)
