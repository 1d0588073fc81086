"""Hand motion: sums of minimum-jerk movements (Flash and Hogan 1985), and small oscillations such as tremor."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_SINES = 4


def minimum_jerk(share: Tensor) -> Tensor:
    """0 to 1 for ``share`` (...) of a movement's duration, with zero velocity and acceleration at both ends.

    Below 0 the movement has not begun, above 1 it is over.
    """
    share = share.clamp(0, 1)
    return share**3 * (10 - 15 * share + 6 * share**2)


def movement_shares(times_s: Tensor, starts_s: Tensor, durations_s: Tensor) -> Tensor:
    """How much of each movement is done at each time: (..., F, M) in [0, 1].

    A quantity that is ``x_0`` first and goes to ``x_k`` in movement k is ``x_0 + sum_k share_k (x_k - x_(k-1))``,
    smooth also where movements overlap.

    Args:
        times_s: (..., F). starts_s, durations_s: (..., M); durations positive.
    """
    return minimum_jerk((times_s[..., :, None] - starts_s[..., None, :]) / durations_s[..., None, :])


def oscillation(
    times_s: Tensor, channels: int, lowest_hz: float, highest_hz: float, generator: torch.Generator
) -> Tensor:
    """Random oscillations (n, F, channels) between two frequencies, of unit mean square over time.

    Args:
        times_s: (n, F). generator: on the CPU.
    """
    shape = (len(times_s), 1, channels, _SINES)
    frequency = lowest_hz + (highest_hz - lowest_hz) * torch.rand(shape, generator=generator)
    phase = 2 * math.pi * torch.rand(shape, generator=generator)
    waves = torch.sin(2 * math.pi * frequency * times_s[..., None, None] + phase)
    return waves.sum(-1) * math.sqrt(2 / _SINES)
