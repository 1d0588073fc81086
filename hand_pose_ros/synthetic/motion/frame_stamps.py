"""When the frames of videos are taken: cameras of many rates, with jitter and dropped frames."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

RATES_HZ: Final = (15.0, 60.0)
"""Range of frame rates."""

_USUAL_HZ, _USUAL = 30.0, 0.6  # most cameras, and their share
_JITTER = 0.15  # largest standard deviation of a stamp, as a share of the period
_FURTHEST_JITTER = 0.4  # and the largest deviation
_DROPPING, _DROPPED = 0.35, 0.4  # share of videos that lose frames, and the largest share lost
_MOST_DROPPED = 3  # in a row


def random_stamps(count: int, frames: int, generator: torch.Generator) -> Tensor:
    """Stamps (count, frames) in seconds, strictly rising from 0, of the frames that arrive.

    Args:
        generator: on the CPU.
    """
    low, high = map(math.log, RATES_HZ)
    rate = torch.exp(low + (high - low) * torch.rand(count, 1, generator=generator))
    usual = torch.rand(count, 1, generator=generator) < _USUAL
    period = 1 / torch.where(usual, _USUAL_HZ, rate)
    loss = _DROPPED * torch.rand(count, 1, generator=generator)
    loss = torch.where(torch.rand(count, 1, generator=generator) < _DROPPING, loss, 0.0)
    lost = torch.rand(count, frames, _MOST_DROPPED, generator=generator) < loss[..., None]
    places = (1 + lost.long().cumprod(-1).sum(-1)).cumsum(-1)
    spread = _JITTER * torch.rand(count, 1, generator=generator)
    jitter = (spread * torch.randn(count, frames, generator=generator)).clamp(
        -_FURTHEST_JITTER, _FURTHEST_JITTER
    )
    stamps = (places + jitter) * period
    return stamps - stamps[:, :1]
