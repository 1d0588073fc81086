"""The configuration of the hand detector states the size of its input and of its layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hand_pose_ros.networks.network_config import NetworkConfig

STRIDE: Final = 8
"""Pixels of the input along a cell of the output maps."""
_COARSEST: Final = 32
_MOST_SIZE: Final = 1024
_MOST_WIDTH: Final = 1024


@dataclass(frozen=True)
class HandDetectorConfig(NetworkConfig):
    """Everything that is needed to rebuild a network and to make its input.

    image_size: pixels along a side of the square input, a multiple of 32. width: channels of the maps that the
    levels are joined in.
    """

    image_size: int = 192
    width: int = 64

    def __post_init__(self) -> None:
        if not _COARSEST <= self.image_size <= _MOST_SIZE or self.image_size % _COARSEST:
            raise ValueError(
                f"image_size must be a multiple of {_COARSEST}, at most {_MOST_SIZE}, got {self.image_size}"
            )
        if not 1 <= self.width <= _MOST_WIDTH:
            raise ValueError(f"width must lie in [1, {_MOST_WIDTH}], got {self.width}")

    @property
    def map_size(self) -> int:
        """Rows and columns of the output maps."""
        return self.image_size // STRIDE
