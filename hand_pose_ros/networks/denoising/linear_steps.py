"""Steps of the samplers as three numbers each: with the network's prediction given, every step is linear.

:mod:`hand_pose_ros.networks.denoising.samplers` is the readable form, and what this is tested against; this one
costs two products and a sum per step, and needs nothing but floats, so that a CUDA graph can hold it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from hand_pose_ros.networks.denoising.schedule import NoiseSchedule


class StepWeights(NamedTuple):
    """A step of DDPM or DDIM: ``x = of_x * x + of_prediction * prediction + of_noise * standard normal noise``."""

    of_x: float
    of_prediction: float
    of_noise: float


@lru_cache(maxsize=32)
def step_weights(
    schedule: NoiseSchedule, walk: tuple[int, ...], parametrisation: str, ancestral: bool
) -> tuple[StepWeights, ...]:
    """The steps ``walk`` of ancestral sampling (eq. 6; all steps, descending) or of DDIM (eta = 0)."""
    weights = []
    for position, step in enumerate(walk):
        alpha_bar, beta = schedule.alpha_bars[step].item(), schedule.betas[step].item()
        signal, noise = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
        # Both readings of a prediction p, as (factor of x, factor of p).
        if parametrisation == "epsilon":
            x0, epsilon = (1 / signal, -noise / signal), (0.0, 1.0)
        else:
            x0, epsilon = (0.0, 1.0), (1 / noise, -signal / noise)
        last = position + 1 == len(walk)
        if ancestral:
            pull, growth = beta / noise, (1 - beta) ** -0.5
            of_x, of_prediction = growth * (1 - pull * epsilon[0]), -growth * pull * epsilon[1]
            weights.append(StepWeights(of_x, of_prediction, 0.0 if last else beta**0.5))
        else:
            there = 1.0 if last else schedule.alpha_bars[walk[position + 1]].item()
            of_x, of_prediction = (
                there**0.5 * a + (1 - there) ** 0.5 * b for a, b in zip(x0, epsilon, strict=True)
            )
            weights.append(StepWeights(of_x, of_prediction, 0.0))
    return tuple(weights)
