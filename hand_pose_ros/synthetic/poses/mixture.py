"""A mixture of normal distributions with full covariances: fitted by expectation-maximisation, and sampled."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Mixture(NamedTuple):
    """K normal distributions over vectors of length d.

    share: (K,) sums to 1. mean: (K, d). factor: (K, d, d) lower triangular, ``covariance = factor factor^T``.
    """

    share: Tensor
    mean: Tensor
    factor: Tensor

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """(count, d) draws."""
        part = choose(self.share, count, generator)
        draws = torch.randn(count, self.mean.shape[1], generator=generator).to(self.mean)
        # Part by part: gathering a matrix for each draw would move far more memory.
        order = part.argsort()
        sizes = torch.bincount(part, minlength=len(self.share)).tolist()
        chunks = [
            noise @ factor.T + mean
            for noise, factor, mean in zip(draws.split(sizes), self.factor, self.mean, strict=True)
        ]
        return torch.empty_like(draws).index_copy_(0, order, torch.cat(chunks))


def choose(shares: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """``count`` indices, each drawn with its share (k,) of the sum; ``count`` may be 0."""
    edges = shares.cumsum(0)
    draws = torch.rand(count, generator=generator, dtype=shares.dtype) * edges[-1]
    return torch.bucketize(draws, edges, right=True).clamp(max=len(shares) - 1)


def fit_mixture(
    values: Tensor, weights: Tensor, parts: int, floor: float, generator: torch.Generator, rounds: int = 60
) -> Mixture:
    """Fit ``parts`` normal distributions to weighted vectors by expectation-maximisation.

    Args:
        values: (n, d) vectors.
        weights: (n,) >= 0, what each counts for.
        parts: number of normal distributions.
        floor: standard deviation that is added, in quadrature, to every direction of every part.
        generator: chooses the vectors to start from.
        rounds: of expectation and maximisation.

    Raises:
        ValueError: fewer weighted vectors than parts.
    """
    used = weights > 0
    values, weights = values[used].double(), weights[used].double()
    if len(values) < parts:
        raise ValueError(f"{parts} parts need at least as many vectors, got {len(values)}")
    mixture = _start(values, weights, parts, floor, generator)
    for _ in range(rounds):
        belonging = log_density_of_parts(mixture, values).softmax(-1) * weights[:, None]
        mixture = _maximise(values, belonging, floor)
    return mixture


def log_density_of_parts(mixture: Mixture, values: Tensor) -> Tensor:
    """(n, K) logarithm of share times density of each part at vectors (n, d)."""
    columns = []
    for share, mean, factor in zip(*mixture, strict=True):
        whitened = torch.linalg.solve_triangular(factor, (values - mean).T, upper=False)
        log_norm = factor.diagonal().log().sum() + 0.5 * len(mean) * math.log(2 * math.pi)
        columns.append(share.log() - log_norm - 0.5 * whitened.square().sum(0))
    return torch.stack(columns, dim=-1)


def _start(values: Tensor, weights: Tensor, parts: int, floor: float, generator: torch.Generator) -> Mixture:
    """Parts around vectors that are chosen far from each other (k-means++), each with its nearest vectors."""
    chosen = torch.multinomial(weights, 1, generator=generator)
    nearest = (values - values[chosen]).square().sum(-1)
    for _ in range(parts - 1):
        following = torch.multinomial(weights * nearest, 1, generator=generator)
        nearest = torch.minimum(nearest, (values - values[following]).square().sum(-1))
        chosen = torch.cat((chosen, following))
    label = torch.cdist(values, values[chosen]).argmin(-1)
    return _maximise(values, torch.nn.functional.one_hot(label, parts) * weights[:, None], floor)


def _maximise(values: Tensor, belonging: Tensor, floor: float) -> Mixture:
    """The mixture whose part k explains the share ``belonging[:, k]`` (n, K) of each vector."""
    total = belonging.sum(0).clamp(min=1e-9)
    mean = belonging.T @ values / total[:, None]
    least = floor**2 * torch.eye(values.shape[1], dtype=values.dtype)
    factors = []
    for k in range(len(total)):
        centred = values - mean[k]
        covariance = (centred * belonging[:, k, None]).T @ centred / total[k]
        factors.append(torch.linalg.cholesky(covariance + least))
    return Mixture(total / total.sum(), mean, torch.stack(factors))
