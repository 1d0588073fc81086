"""The module holds the embedding and the residual blocks that the networks share."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn

_FREQUENCY: Final = 2.0  # radians per unit of the places


def sinusoidal_embedding(values: Tensor, width: int, longest_period: float = 10_000.0) -> Tensor:
    """Return sines and cosines (..., width) of ``values`` (...) at periods from 2 pi up, geometrically spaced.

    Raises:
        ValueError: width is odd.
    """
    if width % 2:
        raise ValueError(f"the width of a sinusoidal embedding must be even, got {width}")
    exponents = torch.arange(width // 2, device=values.device, dtype=torch.float32) / max(width // 2 - 1, 1)
    phases = values[..., None].float() * torch.exp(-math.log(longest_period) * exponents)
    return torch.cat((phases.sin(), phases.cos()), dim=-1)


def place_embedding(places: Tensor, width: int) -> Tensor:
    """Return sines and cosines (n, width) of places (n, 3) along random directions: near places are alike.

    Raises:
        ValueError: width is odd.
    """
    if width % 2:
        raise ValueError(f"the width of an embedding of places must be even, got {width}")
    phases = places @ (_FREQUENCY * torch.randn(places.shape[-1], width // 2))
    return torch.cat((phases.sin(), phases.cos()), dim=-1)


class ResidualBlock(nn.Module):
    """The block computes ``x + W2 silu(W1 norm(x))``; it is initialised as the identity."""

    def __init__(self, width: int, hidden: int | None = None) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first = nn.Linear(width, hidden or width)
        self.second = nn.Linear(hidden or width, width)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., width) to (..., width)."""
        return x + self.second(nn.functional.silu(self.first(self.norm(x))))


def residual_mlp(inputs: int, width: int, blocks: int) -> nn.Sequential:
    """Build a linear layer to ``width``, residual blocks, and a final norm."""
    layers = [nn.Linear(inputs, width), *(ResidualBlock(width) for _ in range(blocks)), nn.LayerNorm(width)]
    return nn.Sequential(*layers)
