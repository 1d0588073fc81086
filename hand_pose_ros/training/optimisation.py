"""The module holds the parts of an optimisation step: random numbers, optimiser, rate, averaged weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from hand_pose_ros.training.config import SGD, STEPS, OptimiserConfig

RATE: Final = "rate"
"""Key of a parameter group's factor on the learning rate."""
_STEP_FACTOR: Final = 0.1


def seeded_generator(seed: int, step: int, micro_batch: int = 0) -> torch.Generator:
    """Make a CPU generator for a micro-batch, and seed PyTorch's own alike, for layers such as dropout.

    It depends on these numbers only: step n of a resumed run draws the same as step n of the first run, and each
    micro-batch the same on whichever process.
    """
    mixed = _mixed(seed, step, micro_batch)
    torch.manual_seed(mixed)
    return torch.Generator().manual_seed(mixed)


def generator_ahead(seed: int, step: int, micro_batch: int = 0) -> torch.Generator:
    """Make the generator of :func:`seeded_generator`; PyTorch's own generators do not change."""
    return torch.Generator().manual_seed(_mixed(seed, step, micro_batch))


def _mixed(seed: int, step: int, micro_batch: int) -> int:
    of_micro_batch = (micro_batch,) if micro_batch else ()
    sequence = np.random.SeedSequence((seed, step), spawn_key=of_micro_batch)
    return int(sequence.generate_state(1, np.uint64)[0])


def make_optimiser(
    model: nn.Module, config: OptimiserConfig, rates: Mapping[str, float] | None = None
) -> torch.optim.Optimizer:
    """Make the optimiser of ``config``, in which only matrices and kernels decay.

    Args:
        rates: factor on the learning rate of the parameters whose names start with the key; 1 for the others. A
            group of parameters has its factor under ``RATE``.

    Raises:
        ValueError: the model has nothing to train, or no parameter has a name that starts with one of the keys.
    """
    rates, factors = rates or {}, {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            prefix = max((key for key in rates if name.startswith(key)), key=len, default=None)
            factors.setdefault(prefix, []).append(parameter)
    if not factors:
        raise ValueError("the task's model has no parameter to train")
    if unknown := sorted(rates.keys() - factors.keys()):
        raise ValueError(f"no parameter's name starts with {', '.join(unknown)}")
    groups = []
    for prefix, trained in factors.items():
        rate = 1.0 if prefix is None else rates[prefix]
        matrices, vectors = [p for p in trained if p.ndim >= 2], [p for p in trained if p.ndim < 2]
        groups.append({"params": matrices, "weight_decay": config.weight_decay, RATE: rate})
        groups.append({"params": vectors, "weight_decay": 0.0, RATE: rate})
    groups = [group for group in groups if group["params"]]
    if config.method == SGD:
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)


def learning_rate(config: OptimiserConfig, step: int, share: float) -> float:
    """Return the rate of step ``step``, when ``share`` in [0, 1] of the budget is used."""
    rise = min(1.0, (step + 1) / (config.warm_up_steps + 1))
    if config.schedule == STEPS:
        return config.learning_rate * rise * _STEP_FACTOR ** sum(share >= at for at in config.decay_at)
    fall = (1 + math.cos(math.pi * share)) / 2
    floor = config.final_learning_rate
    return config.learning_rate * rise * (floor + (1 - floor) * fall)


class AveragedWeights:
    """An exponential moving average of a model's weights, as a model of its own in evaluation mode.

    Early steps keep less than ``decay``, so that the initial weights fade: step n keeps at most
    (1 + n) / (10 + n). Buffers are copied.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self._decay = decay
        self._averaged: list[Tensor] = list(self.model.parameters())
        self._current: list[Tensor] = list(model.parameters())
        self._pairs = list(zip(self.model.buffers(), model.buffers(), strict=True))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Average in the weights of the model after step ``step`` (the first is 0)."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._averaged, self._current, 1 - decay)  # pyright: ignore[reportPrivateImportUsage]
        for averaged, current in self._pairs:
            averaged.copy_(current)
