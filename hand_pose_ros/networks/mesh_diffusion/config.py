"""The configuration of the mesh diffusion network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from hand_pose_ros import hand
from hand_pose_ros.mesh.farthest_points import level_sizes
from hand_pose_ros.mesh.mano import MANO
from hand_pose_ros.mesh.template import SHIPPED_NAME
from hand_pose_ros.networks.image.resnet import DEPTHS, STRIDES
from hand_pose_ros.networks.network_config import NetworkConfig

LANDMARK_FEATURES, LANDMARK_BLOCKS, RESNET = "landmark_features", "landmark_blocks", "resnet"
ENCODERS: Final = (LANDMARK_FEATURES, LANDMARK_BLOCKS, RESNET)
"""Image encoders: a layer, or the last blocks, on features of MediaPipe's landmark network; a ResNet on crops."""
CROSS_MODALITY, SELF_ATTENTION = "cross_modality", "self_attention"
DECODERS: Final = (CROSS_MODALITY, SELF_ATTENTION)
MESHES: Final = (SHIPPED_NAME, MANO)
DEPTH: Final = "depth"
CONDITION_CHANNELS: Final = {DEPTH: 2, "silhouette": 1, "keypoints": hand.NUM_JOINTS}
"""Channels of the image of each extra condition."""
_MOST_POINTS: Final = 20_000
_MOST_STEPS: Final = 10_000
_MOST_WIDTH: Final = 4096


@dataclass(frozen=True)
class MeshEncoderConfig(NetworkConfig):
    """The image encoder.

    kind: one of ``ENCODERS``. depth, size_px: of the ResNet and its crops, for 'resnet'.
    """

    kind: str = LANDMARK_FEATURES
    depth: int = 18
    size_px: int = 224

    def __post_init__(self) -> None:
        if self.kind not in ENCODERS:
            raise ValueError(f"kind must be one of {ENCODERS}, got {self.kind!r}")
        if self.depth not in DEPTHS:
            raise ValueError(f"depth must be one of {DEPTHS}, got {self.depth}")
        if not STRIDES[-1] <= self.size_px <= 1024 or self.size_px % STRIDES[-1]:
            raise ValueError(f"size_px must be a multiple of {STRIDES[-1]}, at most 1024, got {self.size_px}")

    @property
    def reads_features(self) -> bool:
        """Whether it reads features of the landmark network, not crops."""
        return self.kind != RESNET


@dataclass(frozen=True)
class MeshDiffusionConfig(NetworkConfig):
    """Everything that is needed to rebuild the network.

    mesh: template whose mesh the network draws, of ``MESHES``: the package's, or MANO's from a user's file.
    points: vertices that the network handles, the first of the template's farthest order.
    width, heads: channels of vertices and feature map, and heads of attention. blocks: cross-modality blocks, or
        layers of the decoder of plain self-attention.
    levels, rate: coarser levels of the vertex block, each smaller by the rate.
    decoder: 'cross_modality' or 'self_attention' (ablation).
    diffusion: false regresses the mesh directly (ablation).
    steps: T of the diffusion with a cosine schedule.
    spread_scale: factor on the spread of hypotheses that makes stated deviations true.
    conditions: extra conditions, of ``CONDITION_CHANNELS``. condition_size_px: side of their images.
    """

    mesh: str = SHIPPED_NAME
    points: int = 256
    width: int = 128
    heads: int = 4
    blocks: int = 3
    levels: int = 2
    rate: float = 2.0
    decoder: str = CROSS_MODALITY
    diffusion: bool = True
    steps: int = 100
    conditions: tuple[str, ...] = ()
    condition_size_px: int = 56
    encoder: MeshEncoderConfig = field(default_factory=MeshEncoderConfig)
    spread_scale: float = 1.0

    def __post_init__(self) -> None:
        if self.mesh not in MESHES:
            raise ValueError(f"mesh must be one of {MESHES}, got {self.mesh!r}")
        if not 20 <= self.points <= _MOST_POINTS:
            raise ValueError(f"points must lie in [20, {_MOST_POINTS}], got {self.points}")
        if not 2 <= self.width <= _MOST_WIDTH or self.heads < 1 or self.width % (2 * self.heads):
            raise ValueError(
                f"width must be an even multiple of heads, at most {_MOST_WIDTH}, got {self.width}, {self.heads}"
            )
        if not 1 <= self.blocks <= 64 or not 0 <= self.levels <= 16:
            raise ValueError(
                f"blocks must lie in [1, 64] and levels in [0, 16], got {self.blocks}, {self.levels}"
            )
        if self.decoder not in DECODERS:
            raise ValueError(f"decoder must be one of {DECODERS}, got {self.decoder!r}")
        if not 1 <= self.steps <= _MOST_STEPS:
            raise ValueError(f"steps must lie in [1, {_MOST_STEPS}], got {self.steps}")
        unknown = [name for name in self.conditions if name not in CONDITION_CHANNELS]
        if unknown or len(set(self.conditions)) < len(self.conditions):
            raise ValueError(
                f"conditions must be different ones of {tuple(CONDITION_CHANNELS)}, got {self.conditions}"
            )
        if not 8 <= self.condition_size_px <= 1024:
            raise ValueError(f"condition_size_px must lie in [8, 1024], got {self.condition_size_px}")
        if not 0 < self.spread_scale < 1e3:
            raise ValueError(f"spread_scale must lie in (0, 1000), got {self.spread_scale}")
        _ = self.level_sizes

    @property
    def level_sizes(self) -> tuple[int, ...]:
        """Numbers of vertices of all levels, from the finest on."""
        return level_sizes(self.points, self.rate, self.levels)
