"""The samplers as their papers write them: slow and obvious, to test the package's linear steps against."""

from __future__ import annotations

import torch


def sample_ddpm(denoise, noise, schedule, generator, parametrisation):
    """Ancestral sampling over all T steps: the mean of eq. 6 plus noise of variance beta_t, none at last."""
    x = noise
    for step in reversed(range(schedule.steps)):
        t = torch.full((len(x),), step, dtype=torch.long)
        _, epsilon = schedule.x0_and_epsilon(x, denoise(x, t), t, parametrisation)
        beta, alpha_bar = schedule.betas[step].item(), schedule.alpha_bars[step].item()
        x = (x - beta / (1 - alpha_bar) ** 0.5 * epsilon) / (1 - beta) ** 0.5
        if step > 0:
            x = x + beta**0.5 * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x


def sample_ddim(denoise, noise, schedule, steps, parametrisation, eta=0.0, generator=None):
    """DDIM over the given descending steps (Song et al. 2021, eq. 12 and 16)."""
    x = noise
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        t = torch.full((len(x),), step, dtype=torch.long)
        x0, epsilon = schedule.x0_and_epsilon(x, denoise(x, t), t, parametrisation)
        if following is None:
            return x0
        here, there = schedule.alpha_bars[step].item(), schedule.alpha_bars[following].item()
        variance = eta**2 * (1 - there) / (1 - here) * (1 - here / there)
        x = there**0.5 * x0 + (1 - there - variance) ** 0.5 * epsilon
        if eta > 0:
            x = x + variance**0.5 * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return None


def sample_dpm_solver(denoise, noise, schedule, walk):
    """DPM-Solver++(2M) as its paper writes it (Lu et al. 2022, algorithm 2), for a network that predicts x0.

    The last step leads to zero noise, where half the log signal-to-noise ratio is infinite: the first-order step.
    """
    x, before, last = noise, None, None
    levels = [schedule.alpha_bars[t] for t in walk]
    half_log_snr = [0.5 * torch.log(level / (1 - level)) for level in levels]
    for i, t in enumerate(walk):
        x0 = denoise(x, torch.full((len(x),), t))
        if i + 1 == len(walk):
            return x0
        h = half_log_snr[i + 1] - half_log_snr[i]
        data = x0
        if before is not None:
            r = last / h
            data = (1 + 1 / (2 * r)) * x0 - 1 / (2 * r) * before
        sigma_ratio = ((1 - levels[i + 1]) / (1 - levels[i])).sqrt()
        x = sigma_ratio * x - levels[i + 1].sqrt() * torch.expm1(-h) * data
        before, last = x0, h
    raise ValueError("no steps")
