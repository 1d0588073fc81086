"""The temporal transformer maps a window of frames to angles and root rotation of each frame (paper, 2.7).

It is an encoder only. Beyond the paper, its output is a correction of a weighted mean of the frames' own D*. The
weights also come from attention, separately for each finger, the wrist, and the offset angles of the person. It
therefore starts as a plain smoother, and a window of one frame gives that frame's D*.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

from hand_pose_ros import hand
from hand_pose_ros.common.shapes import check_shape
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, sine_bound, sine_bound_inverse
from hand_pose_ros.networks.embeddings import sinusoidal_embedding
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.networks.network_config import NetworkConfig
from hand_pose_ros.networks.temporal.window import TYPICAL_SIGMA, HandWindow, newest_valid
from hand_pose_ros.rotations import orthogonalise

FRAME_S: Final = 1 / 30
"""Unit of the time stamps inside the network."""

_ROTATION: Final = 9
_POSE: Final = 3 * hand.NUM_JOINTS + hand.NUM_ANGLES + _ROTATION
_FEATURES: Final = 2 * _POSE + hand.NUM_JOINTS + 1
_MOST_FRAMES: Final = 1000
_LEAST_SIGMA: Final = 0.02  # of the typical one
_LONGEST_PERIOD: Final = 30.0  # of the sinusoids, in 2 pi frames
_DIFFERENCE_SCALE: Final = 4.0  # of differences between frames, so that they are of the order of 1
_BUILD, _WRIST = len(hand.FINGERS), len(hand.FINGERS) + 1
_GROUPS: Final = _WRIST + 1  # with separate mixing: the fingers, the offset angles, the wrist
_MIXING_WIDTH: Final = 16
_FIRST_RATES: Final = (*[0.6] * len(hand.FINGERS), 0.02, 0.6)
"""Initial decay rates of a frame's weight per frame of age."""
_GROUP_OF_ANGLE: Final = torch.tensor(
    [(angle.node - 1) // 4 for angle in hand.ARTICULATION_ANGLES] + [_BUILD] * len(hand.OFFSET_ANGLES)
)


@dataclass(frozen=True)
class TemporalConfig(NetworkConfig):
    """Everything that is needed to rebuild the network.

    window: number of frames in training; fewer also work. hidden: width inside the blocks.
    """

    window: int = 5
    width: int = 128
    layers: int = 3
    heads: int = 4
    hidden: int = 256
    dropout: float = 0.05

    def __post_init__(self) -> None:
        if min(self.window, self.width, self.layers, self.heads, self.hidden) < 1:
            raise ValueError(f"window, width, layers, heads and hidden must be positive, got {self}")
        if self.window > _MOST_FRAMES:
            raise ValueError(f"window must be at most {_MOST_FRAMES}, got {self.window}")
        if self.width % self.heads or self.width % 2:
            raise ValueError(f"width must be even and a multiple of heads, got {self.width} and {self.heads}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), got {self.dropout}")


class TemporalTransformer(nn.Module):
    """The network smooths the frames of a hand; each frame attends to all valid frames of the window."""

    config_class: ClassVar = TemporalConfig

    def __init__(self, config: TemporalConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or TemporalConfig()
        self.embed = nn.Linear(_FEATURES, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            EncoderBlock(config.width, config.heads, config.hidden, config.dropout)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width)
        self.mixing = FrameMixing(config.width)
        self.correction = nn.Linear(config.width, _ROTATION + hand.NUM_ANGLES)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)

    def forward(self, window: HandWindow, proportions: Tensor, newest_only: bool = False) -> HandParameters:
        """Return the hands of all frames, invalid ones included: fields (n, F, ...), in the window's frame.

        Args:
            window: rotated into the view of its newest valid frame; at least one frame of each track is valid.
            proportions: (n, 20) of the tracks.
            newest_only: compute the last frame's hands only, (n, 1, ...), which is faster.

        Raises:
            ValueError: a wrong shape.
        """
        _check(window, proportions)
        frames = window.valid.shape[1]
        ages = (window.stamps_s - window.stamps_s[:, -1:]) / FRAME_S
        x = self.embed(frame_features(window))
        x = x + sinusoidal_embedding(ages, x.shape[-1], _LONGEST_PERIOD).to(x)
        x = self.dropout(x)
        attended = window.valid[:, None, None, :].expand(-1, 1, frames, -1)
        for block in self.blocks:
            x = block(x, attended)
        x = self.norm(x)
        wanted = slice(-1, None) if newest_only else slice(None)
        shares = self.mixing(x, ages, window.valid, wanted)
        several = (window.valid.sum(1) > 1)[:, None, None]  # one frame alone says nothing about its error
        return self._hands(window, proportions, shares, self.correction(x[:, wanted]).float() * several)

    @property
    def window(self) -> int:
        """The most frames that it is trained for."""
        return self.config.window

    @property
    def device(self) -> torch.device:
        """The device of its weights, on which it takes windows."""
        return self.norm.weight.device

    def newest(self, window: HandWindow, proportions: Tensor) -> HandParameters:
        """The newest frame's hands only, (n, 1, ...), in less time."""
        return self(window, proportions, newest_only=True)

    def _hands(
        self, window: HandWindow, proportions: Tensor, shares: Tensor, correction: Tensor
    ) -> HandParameters:
        bounds = angle_bounds(correction.dtype, correction.device)
        valid = window.valid[..., None]
        own = sine_bound_inverse(torch.where(valid, window.angles, bounds.neutral), bounds)
        of_angle = shares[:, _GROUP_OF_ANGLE]  # (n, 38, frames, F)
        raw = torch.einsum("nafg,nga->nfa", of_angle, own) + correction[..., _ROTATION:]
        angles = sine_bound(raw, bounds)
        turns = torch.where(valid[..., None], window.rotation, torch.eye(3).to(correction))
        turn = torch.einsum("nfg,ngij->nfij", shares[:, _WRIST], turns)
        rotation = orthogonalise(turn + correction[..., :_ROTATION].unflatten(-1, (3, 3)))
        proportions = proportions[:, None].expand(*angles.shape[:2], -1)
        joints, rotations = forward_kinematics(angles, proportions, rotation)
        return HandParameters(angles, proportions, rotation, joints, rotations)


class EncoderBlock(nn.Module):
    """The block applies self-attention over frames and a two-layer network, each pre-normalised and residual."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, nn.Dropout(dropout)
        self.attention_norm, self.norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.into, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.first, self.second = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor, attended: Tensor) -> Tensor:
        """Transform x (n, F, width); attended (n, 1, F, F): whether a frame (row) attends to another (column)."""
        query, key, value = self.into(self.attention_norm(x)).chunk(3, dim=-1)
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key, value)
        )
        found = scaled_dot_product_attention(query, key, value, attn_mask=attended)
        x = x + self.dropout(self.out(found.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.second(silu(self.first(self.norm(x)))))


class FrameMixing(nn.Module):
    """The layer computes the weights of all valid frames in the mean of each frame, separately for each group."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key = (nn.Linear(width, _GROUPS * _MIXING_WIDTH) for _ in range(2))
        nn.init.zeros_(self.query.weight)
        nn.init.zeros_(self.query.bias)
        self.raw_rate = nn.Parameter(torch.tensor(_FIRST_RATES).expm1().log())

    def forward(self, x: Tensor, ages: Tensor, valid: Tensor, wanted: slice) -> Tensor:
        """Map x (n, F, width), ages (n, F) in frames, valid (n, F) to shares (n, 7, wanted, F); rows sum to 1."""
        query, key = (
            layer(frames).float().unflatten(-1, (_GROUPS, _MIXING_WIDTH)).transpose(1, 2)
            for layer, frames in ((self.query, x[:, wanted]), (self.key, x))
        )
        logits = query @ key.transpose(-1, -2) / math.sqrt(_MIXING_WIDTH)
        apart = (ages[:, wanted, None] - ages[:, None]).abs()[:, None]
        logits = logits - nn.functional.softplus(self.raw_rate)[:, None, None] * apart
        return torch.softmax(logits.masked_fill(~valid[:, None, None], -1e4), dim=-1)


def frame_features(window: HandWindow) -> Tensor:
    """Return (n, F, 242): pose, its difference from the newest valid pose, log sigma, and valid; 0 if invalid.

    A pose is joints, D* angles as fractions of their range, and rotation.
    """
    bounds = angle_bounds(window.angles.dtype, window.angles.device)
    half = ((bounds.maximum - bounds.minimum) / 2).clamp(min=1e-6)
    pose = torch.cat((window.joints.flatten(2), window.angles / half, window.rotation.flatten(2)), dim=-1)
    newest = newest_valid(window.valid)[:, None, None].expand(-1, 1, _POSE)
    difference = pose - pose.gather(1, newest)
    sigma = (window.sigma / TYPICAL_SIGMA).clamp(min=_LEAST_SIGMA).log()
    sigma = torch.where(sigma.isfinite(), sigma, torch.zeros_like(sigma))
    features = torch.cat((pose, _DIFFERENCE_SCALE * difference, sigma), dim=-1)
    valid = window.valid[..., None]
    return torch.cat((torch.where(valid, features, torch.zeros_like(features)), valid.to(features)), dim=-1)


def _check(window: HandWindow, proportions: Tensor) -> None:
    batch = tuple(window.valid.shape)
    for name, trailing in (
        ("stamps_s", ()),
        ("joints", (hand.NUM_JOINTS, 3)),
        ("sigma", (hand.NUM_JOINTS,)),
        ("angles", (hand.NUM_ANGLES,)),
        ("rotation", (3, 3)),
    ):
        check_shape(name, getattr(window, name), (*batch, *trailing))
    check_shape("proportions", proportions, (batch[0], hand.NUM_BONES))
