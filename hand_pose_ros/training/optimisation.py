"""The parts of an optimisation step: random numbers, AdamW, learning rate, averaged weights."""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from torch import nn

from hand_pose_ros.training.config import OptimiserConfig


def seeded_generator(seed: int, step: int) -> torch.Generator:
    """A CPU generator for one step, and PyTorch's own generators seeded alike, for layers such as dropout.

    It depends on nothing but the two numbers: step n of a resumed run draws what step n of the first one drew.
    """
    mixed = int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0])
    torch.manual_seed(mixed)
    return torch.Generator().manual_seed(mixed)


def make_optimiser(model: nn.Module, config: OptimiserConfig) -> torch.optim.AdamW:
    """AdamW in which only matrices and kernels decay.

    Raises:
        ValueError: the model has nothing to train.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise ValueError("the task's model has no parameter to train")
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)


def learning_rate(config: OptimiserConfig, step: int, share: float) -> float:
    """The rate of step ``step``, when ``share`` in [0, 1] of the budget is used."""
    rise = min(1.0, (step + 1) / (config.warm_up_steps + 1))
    fall = (1 + math.cos(math.pi * share)) / 2
    floor = config.final_learning_rate
    return config.learning_rate * rise * (floor + (1 - floor) * fall)


class AveragedWeights:
    """An exponential moving average of a model's weights, as a model of its own in evaluation mode.

    Early steps keep less than ``decay``, so that the first weights do not linger: step n keeps at most
    (1 + n) / (10 + n). Buffers are copied.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self._decay = decay
        self._averaged, self._current = list(self.model.parameters()), list(model.parameters())
        self._pairs = list(zip(self.model.buffers(), model.buffers(), strict=True))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights that step ``step`` (the first is 0) has left in the model."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._averaged, self._current, 1 - decay)
        for averaged, current in self._pairs:
            averaged.copy_(current)
