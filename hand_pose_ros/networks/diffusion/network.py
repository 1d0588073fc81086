"""The diffusion network has a condition encoder, a denoising U-Net, and an IK head (paper, 2.5 and 2.6).

The diffusion runs on the 63 coordinates of a right hand: relative to the wrist, in anchor lengths, in the
canonical view, and standardised: see :class:`~hand_pose_ros.networks.condition.Encoded`. The paper calls the
joints of the U-Net D, and the valid hand of the IK head D*.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from hand_pose_ros import hand
from hand_pose_ros.networks.condition import (
    ConditionConfig,
    ConditionEncoder,
    Encoded,
    KeypointCondition,
)
from hand_pose_ros.networks.denoising.schedule import (
    PARAMETRISATIONS,
    NoiseSchedule,
    cosine_schedule,
    linear_schedule,
)
from hand_pose_ros.networks.diffusion.unet1d import UNet1d
from hand_pose_ros.networks.embeddings import ResidualBlock
from hand_pose_ros.networks.hand_head import HandHead, HandParameters
from hand_pose_ros.networks.network_config import NetworkConfig

SCHEDULES = {"linear": linear_schedule, "cosine": cosine_schedule}
_MOST_STEPS = 10_000
_COORDINATES = 3 * hand.NUM_JOINTS
_LEAST_LOG_SIGMA = -4.0  # of a regressed coordinate, which is standardised
_MIN_SCALE = 0.05  # anchor lengths: the wrist is always zero and has no spread of its own


@dataclass(frozen=True)
class HandDiffusionConfig(NetworkConfig):
    """Everything that is needed to rebuild the network.

    steps: T of the diffusion. schedule: 'linear' or 'cosine'. parametrisation: target of the U-Net, the noise
        ('epsilon', eq. 5) or the clean joints ('x0').
    channels: channels of the U-Net. head_width, head_blocks: size of the IK head.
    residual: the diffusion runs on what a regression of the joints leaves, in multiples of the deviation that it
        states, rather than on the joints.
    """

    steps: int = 50
    schedule: str = "cosine"
    parametrisation: str = "x0"
    channels: tuple[int, ...] = (32, 48, 96)
    head_width: int = 512
    head_blocks: int = 2
    residual: bool = False
    condition: ConditionConfig = field(default_factory=ConditionConfig)

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= _MOST_STEPS:
            raise ValueError(f"steps must lie in [1, {_MOST_STEPS}], got {self.steps}")
        if not self.channels or min(self.channels) < 1 or min(self.head_width, self.head_blocks + 1) < 1:
            raise ValueError(f"channels, head_width and head_blocks must not be negative, got {self}")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule must be one of {tuple(SCHEDULES)}, got {self.schedule!r}")
        if self.parametrisation not in PARAMETRISATIONS:
            raise ValueError(
                f"parametrisation must be one of {PARAMETRISATIONS}, got {self.parametrisation!r}"
            )


class HandDiffusion(nn.Module):
    """The network combines encoder, U-Net and IK head.

    mean, scale: (21, 3) that standardise joints. spread_scale: () factor that calibrates the samples' spread
        to the error on held-out hands. schedule: the noise schedule.
    """

    config_class: ClassVar = HandDiffusionConfig
    mean: Tensor
    scale: Tensor
    spread_scale: Tensor

    def __init__(self, config: HandDiffusionConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or HandDiffusionConfig()
        self.encoder = ConditionEncoder(config.condition)
        self.unet = UNet1d(config.condition.joint_features, config.condition.width, config.channels)
        self.head = HandHead(_COORDINATES + config.condition.width, config.head_width, config.head_blocks)
        if config.residual:
            width = config.condition.width
            last = nn.Linear(width, 2 * _COORDINATES)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            self.regression = nn.Sequential(ResidualBlock(width), last)
        self.register_buffer("mean", torch.zeros(hand.NUM_JOINTS, 3))
        self.register_buffer("scale", torch.ones(hand.NUM_JOINTS, 3))
        self.register_buffer("spread_scale", torch.ones(()))
        self.schedule: NoiseSchedule = SCHEDULES[config.schedule](config.steps)

    @property
    def parametrisation(self) -> str:
        """Target of the U-Net, 'epsilon' or 'x0'."""
        return self.config.parametrisation

    def set_statistics(self, joints: Tensor) -> None:
        """Standardise by the mean and scale of normalised joints (n, 21, 3)."""
        self.mean.copy_(joints.mean(0))
        self.scale.copy_(joints.std(0).clamp(min=_MIN_SCALE))

    def encode(
        self,
        keypoints: KeypointCondition | None,
        image_features: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Encoded:
        """Encode conditions, see :class:`ConditionEncoder`, and place the diffusion for each of them.

        With ``residual``, it is placed at the regressed joints, in multiples of the deviation stated for them.
        """
        features, joints = self.encoder(keypoints, image_features, generator)
        mean, scale = self.mean, self.scale
        if self.config.residual:
            regressed = self.regression(features).float().reshape(-1, 2, hand.NUM_JOINTS, 3)
            mean = self.mean + self.scale * regressed[:, 0]
            scale = self.scale * regressed[:, 1].clamp(min=_LEAST_LOG_SIGMA).exp()
        count = features.shape[0]  # len() would be a constant of an exported graph
        return Encoded(features, joints, mean.expand(count, -1, -1), scale.expand(count, -1, -1))

    def denoise(self, noisy: Tensor, t: Tensor, encoded: Encoded) -> Tensor:
        """Predict (n, 21, 3) for noisy samples at steps ``t`` (n,) with the U-Net."""
        return self.unet(noisy, t, encoded.features, encoded.joints)

    def fit(self, samples: Tensor, encoded: Encoded) -> HandParameters:
        """Fit valid hands to possibly noisy samples (n, 21, 3) with the IK head.

        In training it has no effect on what places the diffusion.
        """
        space = encoded._replace(mean=encoded.mean.detach(), scale=encoded.scale.detach())
        standardised = (space.to_joints(samples) - self.mean) / self.scale
        return self.head(torch.cat((standardised.flatten(1), encoded.features), dim=-1))
