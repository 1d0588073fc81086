"""Small tasks for the tests of the trainer; also imported by the processes that those tests start."""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn

from hand_pose_ros.common.dataclass_reading import read_dataclass
from hand_pose_ros.training.config import TrainingConfig


class SineRegression:
    """Learns the sine of three of four inputs, with two networks and a layer that draws random numbers itself."""

    def __init__(self, width: int, batch_size: int) -> None:
        self.width, self.batch_size = width, batch_size
        self.model = nn.ModuleDict(
            {
                "encoder": nn.Sequential(
                    nn.Linear(4, width), nn.BatchNorm1d(width), nn.GELU(), nn.Dropout(0.05)
                ),
                "head": nn.Linear(width, 3),
            }
        )

    @classmethod
    def make(cls, options: dict) -> SineRegression:
        """Options: width, batch_size."""
        return cls(options.get("width", 32), options.get("batch_size", 32))

    def losses(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Squared and absolute error."""
        error = self._error(self.model, torch.randn(self.batch_size, 4, generator=generator))
        return {"squared": error.square().mean(), "absolute": 0.1 * error.abs().mean()}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Mean absolute error."""
        assert not model.training
        assert not torch.is_grad_enabled()
        inputs = torch.randn(256, 4, generator=torch.Generator().manual_seed(1))
        return {"error": float(self._error(model, inputs).abs().mean())}

    def metadata(self) -> dict:
        """The width."""
        return {"width": self.width}

    @staticmethod
    def _error(model: nn.Module, inputs: Tensor) -> Tensor:
        device = next(model.parameters()).device
        inputs = inputs.to(device)
        return model["head"](model["encoder"](inputs)).float() - inputs[:, :3].sin()


class SlowRegression(SineRegression):
    """Takes its time, so that a process can be interrupted before it ends."""

    def losses(self, generator: torch.Generator) -> dict[str, Tensor]:
        """As the parent's, after 10 ms."""
        time.sleep(0.01)
        return super().losses(generator)


class FailingRegression(SineRegression):
    """Breaks in its eleventh step: its 'squared' term is NaN, or, with the width 33, one gradient is."""

    def __init__(self, width: int, batch_size: int) -> None:
        super().__init__(width, batch_size)
        self._steps = 0

    def losses(self, generator: torch.Generator) -> dict[str, Tensor]:
        """As the parent's, ten times."""
        terms = super().losses(generator)
        self._steps += 1
        if self._steps == 11:
            bias = self.model["head"].bias
            terms["squared"] = (
                terms["squared"] * torch.nan if self.width != 33 else (bias[0] * 0).abs().sqrt()
            )
        return terms


def training_config(**values: object) -> TrainingConfig:
    """A short run of :class:`SineRegression` on the CPU, with ``values`` in place of what is set here."""
    return read_dataclass(
        TrainingConfig,
        {
            "task": "helpers.training:SineRegression.make",
            "steps": 60,
            "device": "cpu",
            "threads": 1,
            "optimiser": {"warm_up_steps": 5, "learning_rate": 1e-2, "ema_decay": 0.9},
            "every": {"log_steps": 7, "validation_steps": 20},
            **values,
        },
    )
