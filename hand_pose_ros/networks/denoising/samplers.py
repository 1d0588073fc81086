"""From noise to samples: DDPM ancestral sampling (diffusion + FK paper, eq. 6) and DDIM (Song et al. 2021).

A sampler knows nothing of the network but that it maps a noisy sample and its step to a prediction. Every
random number comes from the generator that the caller passes, and no value is clipped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from hand_pose_ros.networks.denoising.schedule import NoiseSchedule

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""(x_t (B, ...), t (B,) integer steps) -> the noise or the clean sample (B, ...)."""


def spaced_steps(total: int, count: int) -> list[int]:
    """``count`` of the steps 0 .. ``total - 1``, evenly spaced and descending: from ``total - 1`` down to 0.

    Both ends are always taken (a single step is the first): a sampler that starts below T - 1 takes for pure
    noise what was never trained as such.

    Raises:
        ValueError: count is not between 1 and total.
    """
    if not 1 <= count <= total:
        raise ValueError(f"the number of steps must be between 1 and {total}, got {count}")
    if count == 1:
        return [total - 1]
    return [round((total - 1) * (1 - i / (count - 1))) for i in range(count)]


@torch.no_grad()
def sample_ddpm(
    denoise: Denoiser,
    noise: Tensor,
    schedule: NoiseSchedule,
    generator: torch.Generator,
    parametrisation: str,
) -> Tensor:
    """Ancestral sampling over all T steps: the mean of eq. 6 plus noise of variance beta_t, none in the last step.

    Args:
        noise: (B, ...) standard normal x_T.
        generator: of the noise that is added on the way, on ``noise``'s device.
        parametrisation: what ``denoise`` predicts, 'epsilon' or 'x0'.
    """
    x = noise
    for step in reversed(range(schedule.steps)):
        t = torch.full((len(x),), step, dtype=torch.long, device=x.device)
        _, epsilon = schedule.x0_and_epsilon(x, denoise(x, t), t, parametrisation)
        beta, alpha_bar = schedule.betas[step].item(), schedule.alpha_bars[step].item()
        x = (x - beta / (1 - alpha_bar) ** 0.5 * epsilon) / (1 - beta) ** 0.5
        if step > 0:
            x = x + beta**0.5 * _normal_like(x, generator)
    return x


@torch.no_grad()
def sample_ddim(
    denoise: Denoiser,
    noise: Tensor,
    schedule: NoiseSchedule,
    steps: Sequence[int],
    parametrisation: str,
    eta: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """DDIM over the given descending steps, such as :func:`spaced_steps` gives; the first must be T - 1.

    Args:
        noise: (B, ...) standard normal x_T.
        eta: 0 for the deterministic map from ``noise``, 1 for as much noise as ancestral sampling adds.
        generator: of that noise; needed if eta > 0.

    Raises:
        ValueError: the steps do not descend from T - 1, or eta > 0 without a generator.
    """
    if not steps or steps[0] != schedule.steps - 1 or any(a <= b for a, b in pairwise(steps)):
        raise ValueError(f"steps must descend from {schedule.steps - 1}, got {list(steps)}")
    if eta > 0 and generator is None:
        raise ValueError("eta > 0 adds noise, which needs a generator")
    x = noise
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        t = torch.full((len(x),), step, dtype=torch.long, device=x.device)
        x0, epsilon = schedule.x0_and_epsilon(x, denoise(x, t), t, parametrisation)
        if following is None:
            return x0
        here, there = schedule.alpha_bars[step].item(), schedule.alpha_bars[following].item()
        variance = eta**2 * (1 - there) / (1 - here) * (1 - here / there)
        x = there**0.5 * x0 + (1 - there - variance) ** 0.5 * epsilon
        if eta > 0:
            x = x + variance**0.5 * _normal_like(x, generator)
    return x


def _normal_like(x: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
