"""The samplers are DDPM ancestral sampling (diffusion + FK paper, eq. 6) and DDIM (Song et al. 2021).

Given the network's prediction, every step of both is linear, so three numbers describe a step and one loop runs
both. A step costs two products and a sum, and uses floats and tensors only, so a CUDA graph can capture the loop.
The network is any function of a noisy sample and its step. Every random number comes from the generator that the
caller passes, and no value is clipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from hand_pose_ros.networks.denoising.schedule import NoiseSchedule

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""(x_t (B, ...), t (B,) integer steps) -> the noise or the clean sample (B, ...)."""


class SamplingStep(NamedTuple):
    """The step at time ``t``: ``x = of_x * x + of_prediction * prediction + of_noise * standard normal noise``."""

    t: int
    of_x: float
    of_prediction: float
    of_noise: float


def spaced_steps(total: int, count: int) -> tuple[int, ...]:
    """``count`` of the steps 0 .. ``total - 1``, evenly spaced and descending: from ``total - 1`` down to 0.

    Both ends are always included (a single step is the first): a sampler that starts below T - 1 would treat as
    pure noise a level that was not trained as such.

    Raises:
        ValueError: count is not between 1 and total.
    """
    if not 1 <= count <= total:
        raise ValueError(f"the number of steps must be between 1 and {total}, got {count}")
    if count == 1:
        return (total - 1,)
    return tuple(round((total - 1) * (1 - i / (count - 1))) for i in range(count))


def sampling_steps(
    schedule: NoiseSchedule, count: int | None, parametrisation: str
) -> tuple[SamplingStep, ...]:
    """Return ``count`` evenly spaced steps of DDIM, or all steps of ancestral sampling if it is None.

    Args:
        parametrisation: the prediction's target, 'epsilon' or 'x0'.

    Raises:
        ValueError: count exceeds the schedule's steps.
    """
    if count is None:
        return ancestral_steps(schedule, parametrisation)
    return ddim_steps(schedule, spaced_steps(schedule.steps, count), parametrisation)


@lru_cache(maxsize=32)
def ancestral_steps(schedule: NoiseSchedule, parametrisation: str) -> tuple[SamplingStep, ...]:
    """Return all T steps: the mean of eq. 6 plus noise of variance beta_t, none in the last step."""
    steps = []
    for t in reversed(range(schedule.steps)):
        alpha_bar, beta = schedule.alpha_bars[t].item(), schedule.betas[t].item()
        _, (of_x, of_prediction) = _readings(alpha_bar, parametrisation)
        pull, growth = beta / (1 - alpha_bar) ** 0.5, (1 - beta) ** -0.5
        added = beta**0.5 if t else 0.0
        steps.append(SamplingStep(t, growth * (1 - pull * of_x), -growth * pull * of_prediction, added))
    return tuple(steps)


@lru_cache(maxsize=32)
def ddim_steps(
    schedule: NoiseSchedule, walk: tuple[int, ...], parametrisation: str, eta: float = 0.0
) -> tuple[SamplingStep, ...]:
    """Return the steps at the descending times ``walk``, such as :func:`spaced_steps` gives, and then to x0.

    Args:
        eta: 0 for the deterministic map from the noise, 1 for as much noise as ancestral sampling adds.

    Raises:
        ValueError: the walk does not descend from T - 1.
    """
    if not walk or walk[0] != schedule.steps - 1 or any(a <= b for a, b in pairwise(walk)):
        raise ValueError(f"steps must descend from {schedule.steps - 1}, got {list(walk)}")
    alpha_bars = [schedule.alpha_bars[t].item() for t in walk]
    steps = []
    for t, here, there in zip(walk, alpha_bars, [*alpha_bars[1:], 1.0], strict=True):
        variance = eta**2 * (1 - there) / (1 - here) * (1 - here / there)
        of_x, of_prediction = (
            there**0.5 * x0 + (1 - there - variance) ** 0.5 * epsilon
            for x0, epsilon in zip(*_readings(here, parametrisation), strict=True)
        )
        steps.append(SamplingStep(t, of_x, of_prediction, variance**0.5))
    return tuple(steps)


def _readings(alpha_bar: float, parametrisation: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return x0 and epsilon as (factor of x_t, factor of the prediction)."""
    signal, noise = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
    if parametrisation == "epsilon":
        return (1 / signal, -noise / signal), (0.0, 1.0)
    return (0.0, 1.0), (1 / noise, -signal / noise)


@torch.no_grad()
def sample(
    denoise: Denoiser,
    noise: Tensor,
    steps: Sequence[SamplingStep],
    generator: torch.Generator | None = None,
    added: Iterable[Tensor] | None = None,
) -> Tensor:
    """Denoise standard normal ``noise`` (B, ...) of any shape to samples (B, ...).

    Args:
        generator: source of the noise that steps add, on ``noise``'s device.
        added: the noise itself, in the steps' order, instead of a generator.

    Raises:
        ValueError: a step adds noise, and neither a generator nor the noise is given.
    """
    if added is None:
        if generator is None and any(step.of_noise for step in steps):
            raise ValueError("steps that add noise need a generator")
        added = _fresh_noise(noise, generator)
    added, x = iter(added), noise
    for step in steps:
        t = torch.full((len(x),), step.t, dtype=torch.long, device=x.device)
        x = step.of_x * x + step.of_prediction * denoise(x, t)
        if step.of_noise:
            x = x + step.of_noise * next(added)
    return x


def _fresh_noise(like: Tensor, generator: torch.Generator | None) -> Iterator[Tensor]:
    while True:
        yield torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)
