"""DDPM ancestral sampling (diffusion + FK paper, eq. 6), DDIM (Song et al. 2021), DPM-Solver++ (Lu et al. 2022).

Given the network's predictions, every step of each is linear, so four numbers describe a step and one loop runs
all. A step costs a few products and sums, and uses floats and tensors only, so a CUDA graph can capture the loop.
The network is any function of a noisy sample and its step. Every random number comes from the generator that the
caller passes, and no value is clipped.
"""

from __future__ import annotations

import math
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
    """The step at time ``t``.

    It leads to ``of_x * x + of_prediction * prediction + of_noise * standard normal noise``, and adds
    ``of_previous *`` the prediction of the step before.
    """

    t: int
    of_x: float
    of_prediction: float
    of_noise: float
    of_previous: float = 0.0


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
    schedule: NoiseSchedule, count: int | None, parametrisation: str, order: int = 1
) -> tuple[SamplingStep, ...]:
    """Return ``count`` evenly spaced steps, or all steps of ancestral sampling if it is None.

    Args:
        parametrisation: the prediction's target, 'epsilon' or 'x0'.
        order: of the solver: 1 for DDIM, 2 for DPM-Solver++(2M) where x0 is predicted, and DDIM elsewhere.

    Raises:
        ValueError: count exceeds the schedule's steps.
    """
    if count is None:
        return ancestral_steps(schedule, parametrisation)
    walk = spaced_steps(schedule.steps, count)
    if order == 2 and parametrisation == "x0":
        return multistep_steps(schedule, walk)
    return ddim_steps(schedule, walk, parametrisation)


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


@lru_cache(maxsize=32)
def multistep_steps(schedule: NoiseSchedule, walk: tuple[int, ...]) -> tuple[SamplingStep, ...]:
    """Return the steps of DPM-Solver++(2M) for a network that predicts x0, at the times of :func:`ddim_steps`.

    DDIM takes the prediction as constant over a step, so few steps give samples that differ too little: three
    evenly spaced ones halve the deviation of a normal distribution. This solver extrapolates the prediction from
    the last two, at no further evaluation (Lu et al. 2022, algorithm 2). The first step and the last, to x0, are
    DDIM's.
    """
    steps = list(ddim_steps(schedule, walk, "x0"))
    alpha_bars = [schedule.alpha_bars[t].item() for t in walk]
    levels = [0.5 * math.log(one / (1 - one)) for one in alpha_bars]
    for index in range(1, len(walk) - 1):
        ratio = (levels[index] - levels[index - 1]) / (levels[index + 1] - levels[index])
        first_order = steps[index].of_prediction
        steps[index] = steps[index]._replace(
            of_prediction=(1 + 0.5 / ratio) * first_order, of_previous=-0.5 / ratio * first_order
        )
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
    added, x, previous = iter(added), noise, noise
    for step in steps:
        t = torch.full((len(x),), step.t, dtype=torch.long, device=x.device)
        prediction = denoise(x, t)
        x = step.of_x * x + step.of_prediction * prediction
        if step.of_previous:
            x = x + step.of_previous * previous
        if step.of_noise:
            x = x + step.of_noise * next(added)
        previous = prediction
    return x


def _fresh_noise(like: Tensor, generator: torch.Generator | None) -> Iterator[Tensor]:
    while True:
        yield torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)
