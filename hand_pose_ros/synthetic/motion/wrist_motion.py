"""Motion of wrists before a camera: minimum-jerk rotations and translations, and a camera that may sway."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from hand_pose_ros.rotations import rotation_from_vector
from hand_pose_ros.synthetic.motion.minimum_jerk import oscillation
from hand_pose_ros.synthetic.views import HandView

# Size of a movement: share of the movements, and standard deviation. The remaining ones do not move at all.
_TURNS_DEG = ((0.35, 8.0), (0.25, 30.0), (0.08, 80.0))
_TRAVELS_ANCHORS = ((0.30, 0.3), (0.25, 1.2), (0.08, 3.0))
_ALONG = 0.12  # travel along the ray, as the logarithm of the depth, for one anchor length across
_BORDER = 0.85  # travels end inside this share of the image, unless they began further out
_TREMOR_TURN_DEG, _TREMOR_ANCHORS = 0.12, 0.003
_SWAYING, _SWAY_DEG, _SWAY_HZ = 0.5, 0.5, (0.3, 3.0)  # cameras held in the hand
TREMOR_HZ = (6.0, 12.0)


class WristMotion(NamedTuple):
    """rotation: (n, F, 3, 3) wrist frame -> camera frame. wrist_m: (n, F, 3) in the camera frame."""

    rotation: Tensor
    wrist_m: Tensor


def random_wrist_motion(
    first: HandView, times_s: Tensor, shares: Tensor, generator: torch.Generator
) -> WristMotion:
    """Wrists that start near ``first`` and move on.

    Args:
        first: n hands in view. times_s: (n, F). shares: (n, F, M) how much of each movement is done.
        generator: on the CPU.
    """
    count, movements = len(times_s), shares.shape[-1]
    rotation = first.rotation[:, None].expand(-1, times_s.shape[1], -1, -1)
    turns = _sizes(_TURNS_DEG, count, movements, generator) * math.pi / 180
    turns = turns[..., None] * torch.randn(count, movements, 3, generator=generator) / math.sqrt(3)
    for movement in range(movements):
        rotation = rotation @ rotation_from_vector(shares[..., movement, None] * turns[:, None, movement])
    tremor = _tremor(times_s, 6, generator)
    rotation = rotation @ rotation_from_vector(math.radians(_TREMOR_TURN_DEG) * tremor[..., :3])

    travels = _sizes(_TRAVELS_ANCHORS, count, movements, generator)[..., None]
    travels = travels * torch.randn(count, movements, 3, generator=generator) / math.sqrt(3)
    depth = first.wrist_m[:, 2:]
    start = first.wrist_m[:, :2] / depth
    across = travels[..., :2] * (first.anchor_length_m[:, None] / depth)[:, None]
    border = torch.maximum(_BORDER * first.aspect / first.focal[:, None], start.abs())[:, None]
    knots = (start[:, None] + across.cumsum(1)).clamp(-border, border)
    steps = torch.diff(knots, dim=1, prepend=start[:, None])
    image = start[:, None] + shares @ steps
    log_depth = depth.log() + (shares @ (_ALONG * travels[..., 2:]))[..., 0]
    wrist = torch.cat((image, torch.ones_like(image[..., :1])), dim=-1) * log_depth.exp()[..., None]
    wrist = wrist + _TREMOR_ANCHORS * first.anchor_length_m[:, None, None] * tremor[..., 3:]

    sway = oscillation(times_s, 3, *_SWAY_HZ, generator) * math.radians(_SWAY_DEG)
    level = torch.exp(0.7 * torch.randn(count, 1, 1, generator=generator))
    held = torch.rand(count, 1, 1, generator=generator) < _SWAYING
    camera = rotation_from_vector(torch.where(held, level, 0.0) * sway)
    return WristMotion(camera @ rotation, (camera @ wrist[..., None])[..., 0])


def _tremor(times_s: Tensor, channels: int, generator: torch.Generator) -> Tensor:
    """(n, F, channels) tremor whose level differs from hand to hand."""
    level = torch.exp(0.8 * torch.randn(len(times_s), 1, 1, generator=generator))
    return level * oscillation(times_s, channels, *TREMOR_HZ, generator)


def _sizes(
    kinds: tuple[tuple[float, float], ...], count: int, movements: int, generator: torch.Generator
) -> Tensor:
    """(count, movements) standard deviations, drawn from ``kinds``."""
    shares, sizes = zip(*kinds, strict=True)
    edges = torch.tensor(shares).cumsum(0)
    draw = torch.rand(count, movements, generator=generator)
    return torch.tensor((*sizes, 0.0))[torch.bucketize(draw, edges)]
