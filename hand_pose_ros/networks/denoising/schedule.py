"""The module defines noise schedules and the forward process (paper, 2.5; Ho 2020; Nichol and Dhariwal 2021).

Notation: T steps, t = 0 .. T - 1; beta_t is the variance added in step t, alpha_t = 1 - beta_t, and alpha_bar_t
the product of alpha_0 .. alpha_t. x_t is the noised sample after step t; t = T - 1 is almost pure noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

PARAMETRISATIONS = ("epsilon", "x0")
"""Targets of the network's prediction: the added noise (eq. 5), or the clean sample."""


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """The variances of the T steps: ``betas`` (T,), each in (0, 1).

    Raises:
        ValueError: betas of another shape or out of range.
    """

    betas: Tensor

    def __post_init__(self) -> None:
        if self.betas.ndim != 1 or len(self.betas) == 0:
            raise ValueError(f"betas must have shape (T,), got {tuple(self.betas.shape)}")
        if not bool(((self.betas > 0) & (self.betas < 1)).all()):
            raise ValueError("betas must lie in (0, 1)")

    @property
    def steps(self) -> int:
        """T, the number of steps."""
        return len(self.betas)

    @property
    def alpha_bars(self) -> Tensor:
        """(T,) fraction of the clean sample's variance that remains after each step."""
        return (1 - self.betas).cumprod(0)

    def add_noise(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """``x_t = sqrt(alpha_bar_t) x0 + sqrt(1 - alpha_bar_t) noise`` (eq. 3).

        Args:
            x0, noise: (B, ...) of the same shape. t: (B,) integer steps.
        """
        alpha_bar = self.at(t, x0)
        return alpha_bar.sqrt() * x0 + (1 - alpha_bar).sqrt() * noise

    def x0_from_epsilon(self, x_t: Tensor, epsilon: Tensor, t: Tensor) -> Tensor:
        """Solve eq. 3 for x0: the clean sample (B, ...) behind ``x_t`` if ``epsilon`` was added."""
        alpha_bar = self.at(t, x_t)
        return (x_t - (1 - alpha_bar).sqrt() * epsilon) / alpha_bar.sqrt()

    def epsilon_from_x0(self, x_t: Tensor, x0: Tensor, t: Tensor) -> Tensor:
        """Solve eq. 3 for the noise (B, ...) that leads from ``x0`` to ``x_t``."""
        alpha_bar = self.at(t, x_t)
        return (x_t - alpha_bar.sqrt() * x0) / (1 - alpha_bar).sqrt()

    def x0_and_epsilon(
        self, x_t: Tensor, prediction: Tensor, t: Tensor, parametrisation: str
    ) -> tuple[Tensor, Tensor]:
        """Return the clean sample and the noise that a prediction for ``x_t`` implies.

        Raises:
            ValueError: the parametrisation is neither 'epsilon' nor 'x0'.
        """
        if parametrisation == "epsilon":
            return self.x0_from_epsilon(x_t, prediction, t), prediction
        if parametrisation == "x0":
            return prediction, self.epsilon_from_x0(x_t, prediction, t)
        raise ValueError(f"parametrisation must be one of {PARAMETRISATIONS}, got {parametrisation!r}")

    def at(self, t: Tensor, like: Tensor) -> Tensor:
        """Return alpha_bar of steps ``t`` (B,), shaped (B, 1, ...) to multiply ``like`` (B, ...)."""
        return self.alpha_bars.to(like)[t].reshape(-1, *[1] * (like.ndim - 1))


def linear_schedule(steps: int, first: float = 1e-4, last: float = 0.02) -> NoiseSchedule:
    """Return linearly rising betas; ``first`` and ``last`` hold for 1,000 steps and are scaled to ``steps``.

    With few steps, unscaled betas would leave most of the sample in x_T, which sampling treats as pure noise.
    """
    _check_steps(steps)
    scale = 1000 / steps
    betas = torch.linspace(first * scale, last * scale, steps, dtype=torch.float64)
    return NoiseSchedule(betas.clamp(max=0.999))


def cosine_schedule(steps: int, offset: float = 0.008) -> NoiseSchedule:
    """Return betas whose alpha_bar follows a squared cosine (Nichol and Dhariwal 2021)."""
    _check_steps(steps)
    times = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    alpha_bars = torch.cos((times + offset) / (1 + offset) * math.pi / 2) ** 2
    betas = 1 - alpha_bars[1:] / alpha_bars[:-1]
    return NoiseSchedule(betas.clamp(max=0.999))


def _check_steps(steps: int) -> None:
    if steps < 1:
        raise ValueError(f"a schedule needs at least one step, got {steps}")
