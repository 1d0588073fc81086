"""The configuration of the 2.5D networks names the variant, its size, and the crop that it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hand_pose_ros import hand
from hand_pose_ros.networks.image.resnet import DEPTHS
from hand_pose_ros.networks.network_config import NetworkConfig

LATENT: Final = "latent"
DIRECT: Final = "direct"
HOLISTIC: Final = "holistic"
FAST: Final = "fast"
VARIANTS: Final = (LATENT, DIRECT, HOLISTIC, FAST)

_STRIDE: Final = 32  # of the coarsest maps of the ResNet and of the landmark network's blocks
_MOST_SIZE: Final = 1024
_MOST_WIDTH: Final = 4096
_MOST_LEVELS: Final = 8
_MOST_STAGES: Final = 8


@dataclass(frozen=True)
class HeatmapConfig(NetworkConfig):
    """Everything that is needed to rebuild a network and to cut its crops.

    variant: 'latent' and 'direct' are the paper's encoder-decoder with its two read-outs, 'holistic' is a ResNet
        without maps, 'fast' has the blocks of MediaPipe's landmark network as encoder, a light decoder, maps of a
        quarter of the crop's size, and the latent read-out around the points that the encoder regresses.
    image_size: pixels of the square crop. margin: the crop spans +-margin half extents of the hand's view.
    width: channels of every convolution of the encoder-decoder, or of the light decoder.
    levels: how often the encoder halves the resolution. stages: number of encoder-decoders in a row.
    resnet_depth: of the holistic network.
    bone: index in ``hand.BONES`` of the bone whose length is the unit of depths (eq. 2). The estimator takes
        networks of the anchor bone only.
    presence: the fast variant also states whether the crop shows a hand, and whether a right one.
    """

    variant: str = LATENT
    image_size: int = 128
    margin: float = 1.5
    width: int = 256
    levels: int = 5
    stages: int = 1
    resnet_depth: int = 50
    bone: int = hand.ANCHOR_BONE
    presence: bool = False

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, got {self.variant!r}")
        for name, most in (("width", _MOST_WIDTH), ("levels", _MOST_LEVELS), ("stages", _MOST_STAGES)):
            if not 1 <= getattr(self, name) <= most:
                raise ValueError(f"{name} must lie in [1, {most}], got {getattr(self, name)}")
        if self.stages > 1 and not self.has_encoder_decoder:
            raise ValueError(f"the variant {self.variant} has one stage, got stages {self.stages}")
        stride = 1 << self.levels if self.has_encoder_decoder else _STRIDE
        if not stride <= self.image_size <= _MOST_SIZE or self.image_size % stride:
            raise ValueError(
                f"image_size must be a multiple of {stride}, at most {_MOST_SIZE}, got {self.image_size}"
            )
        if self.resnet_depth not in DEPTHS:
            raise ValueError(f"resnet_depth must be one of {DEPTHS}, got {self.resnet_depth}")
        if not 0 <= self.bone < hand.NUM_BONES:
            raise ValueError(f"bone must be an index from 0 to {hand.NUM_BONES - 1}, got {self.bone}")
        if self.presence and self.variant != FAST:
            raise ValueError(f"presence is for the variant {FAST}, not {self.variant}")
        if not self.margin > 0:
            raise ValueError(f"margin must be positive, got {self.margin}")

    @property
    def has_encoder_decoder(self) -> bool:
        """Whether the network is the paper's encoder-decoder."""
        return self.variant in (LATENT, DIRECT)

    @property
    def map_size(self) -> int:
        """Rows and columns of the maps; 0 for the holistic variant, which has none."""
        return {HOLISTIC: 0, FAST: self.image_size // 4}.get(self.variant, self.image_size)
