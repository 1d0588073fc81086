"""The landmark error network maps features of MediaPipe's landmark network to the expected error of each landmark.

The landmark network does not say how sure it is of a landmark. Its features, which exist anyway, tell it: the
size of the errors depends on blur, occlusion and pose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from hand_pose_ros import hand
from hand_pose_ros.common.shapes import check_shape
from hand_pose_ros.networks.network_config import NetworkConfig
from hand_pose_ros.networks.orientation.features import SHAPE

LOG_ERROR: Final = (-5.0, 1.0)
"""Bounds of the logarithm of the expected error, in half extents of the hand."""
_FIRST_LOG_ERROR: Final = -2.3


@dataclass(frozen=True)
class LandmarkErrorConfig(NetworkConfig):
    """Everything that is needed to rebuild the network.

    width: of its two hidden layers. dropout: in training, of the features and of the first hidden layer.
    """

    width: int = 64
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if not 1 <= self.width <= 1024 or not 0 <= self.dropout < 1:
            raise ValueError("width must lie in [1, 1024] and dropout in [0, 1)")


class LandmarkErrorNetwork(nn.Module):
    """An MLP of three layers on the features' mean over the image.

    mean, scale: (192,) that standardise the input; set before training, stored with the weights.
    """

    config_class: ClassVar = LandmarkErrorConfig
    mean: Tensor
    scale: Tensor

    def __init__(self, config: LandmarkErrorConfig | None = None) -> None:
        super().__init__()
        self.config = config or LandmarkErrorConfig()
        channels, width = SHAPE[0], self.config.width
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels))
        self.dropout = nn.Dropout(self.config.dropout)
        self.first = nn.Linear(channels, width)
        self.second = nn.Linear(width, width)
        self.out = nn.Linear(width, hand.NUM_JOINTS)
        with torch.no_grad():
            self.out.weight.mul_(0.1)
            self.out.bias.fill_(_FIRST_LOG_ERROR)

    def forward(self, pooled: Tensor) -> Tensor:
        """Return the logarithms (n, 21) of the expected errors.

        Args:
            pooled: (n, 192) of :func:`pooled_features`.

        Raises:
            ValueError: a wrong shape.
        """
        check_shape("pooled", pooled, (SHAPE[0],))
        hidden = silu(self.first(self.dropout((pooled - self.mean) / self.scale)))
        return self.out(silu(self.second(self.dropout(hidden)))).clamp(*LOG_ERROR)

    @torch.no_grad()
    def standardise(self, pooled: Tensor) -> None:
        """Set ``mean`` and ``scale`` to those of training inputs (n, 192)."""
        self.mean.copy_(pooled.mean(0))
        self.scale.copy_(pooled.std(0) + 1e-3)


def pooled_features(features: Tensor) -> Tensor:
    """Return the mean (n, 192) over the image of features (n, 192, 7, 7).

    Raises:
        ValueError: a wrong shape.
    """
    check_shape("features", features, SHAPE)
    return features.mean((2, 3))
