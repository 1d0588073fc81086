"""The trainer runs the training loop of one task within a budget and stores its state to resume from."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from tqdm import tqdm

from hand_pose_ros.common.device import resolve_device
from hand_pose_ros.networks.weights import save_weights
from hand_pose_ros.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from hand_pose_ros.training.config import TrainingConfig, check_same_training
from hand_pose_ros.training.curves import CurveFile, RunningMeans
from hand_pose_ros.training.micro_batches import MicroBatches
from hand_pose_ros.training.optimisation import (
    RATE,
    AveragedWeights,
    generator_ahead,
    learning_rate,
    make_optimiser,
    seeded_generator,
)
from hand_pose_ros.training.precision import autocast
from hand_pose_ros.training.ranks import Ranks
from hand_pose_ros.training.task import TrainingTask

CHECKPOINT, WEIGHTS, CURVES, VALIDATION = (
    "checkpoint.pt",
    "weights.safetensors",
    "curves.csv",
    "validation.csv",
)
"""The trainer's files in the output folder."""

_log = logging.getLogger(__name__)


class NonFiniteError(ArithmeticError):
    """A loss or gradient was NaN or infinite; the message names it and the file of the state before that step."""


class Trainer:
    """The trainer trains the model of a task, alone or as one of the processes of ``torchrun``.

    All processes hold the same model, averages and optimiser. The first one validates and writes.

    Attributes:
        step: number of steps taken. seconds: time that they took, with validation, over all resumptions.
        figures: results of the last validation.
    """

    def __init__(
        self, task: TrainingTask, config: TrainingConfig, output: Path, ranks: Ranks | None = None
    ) -> None:
        """``output``: the folder of the run; nothing is written before :meth:`run`. ``ranks``: joined processes.

        Raises:
            ValueError: the device is missing, the task has no parameter to train, or the micro-batches cannot be
                shared evenly.
        """
        self.task, self.config, self.output = task, config, output
        self.ranks = ranks or Ranks()
        self.device = resolve_device(config.device)
        self.model = task.model.to(self.device).train()
        self._micro_batches = MicroBatches(self.model, config.micro_batches, self.ranks)
        self.ranks.copy_first(self.model)
        self.averaged = AveragedWeights(self.model, config.optimiser.ema_decay)
        self.step, self.figures = 0, {}
        self._parameters = [p for p in self.model.parameters() if p.requires_grad]
        self._optimiser = make_optimiser(self.model, config.optimiser, getattr(task, "learning_rates", None))
        self._means = RunningMeans()
        self._validated = -1
        self._seconds, self._started = 0.0, None

    @property
    def seconds(self) -> float:
        """Time that the run has taken so far."""
        return self._seconds + (0.0 if self._started is None else time.perf_counter() - self._started)

    @property
    def share(self) -> float:
        """Used fraction of the budget, in [0, 1]: the larger one of steps and minutes."""
        steps = self.step / self.config.steps if self.config.steps else 0.0
        minutes = self.seconds / (60 * self.config.minutes) if self.config.minutes else 0.0
        return min(1.0, max(steps, minutes))

    def resume(self) -> None:
        """Resume from the checkpoint in the output folder.

        Raises:
            ValueError: it is missing, damaged, or has another configuration; the message says which.
        """
        state = self.ranks.from_first(self._checkpoint)
        self.model.load_state_dict(state.model)
        self.averaged.model.load_state_dict(state.averaged)
        self._optimiser.load_state_dict(state.optimiser)
        self._means.load_state_dict(state.means, self.device)
        self.step, self._seconds = state.step, state.seconds
        self.figures, self._validated = state.figures, state.validated

    def _checkpoint(self) -> Checkpoint:
        on = torch.device("cpu") if self.ranks.grouped else self.device
        state = load_checkpoint(self.output / CHECKPOINT, on)
        check_same_training(self.config, state.config)
        return state

    def run(self, stop: Callable[[], bool] = lambda: False) -> bool:
        """Train until the budget is used up, or until ``stop`` returns true between two steps, and save the state.

        Returns whether the budget is used up; then the model is validated, too. Of several processes the first
        one's clock counts, and the ``stop`` of any.

        Raises:
            NonFiniteError: a loss or gradient is NaN or infinite. The state before that step is saved.
            RankError: another process failed or ended.
        """
        if make_data := getattr(self.task, "make_data", None):
            self.ranks.in_turn(make_data)
        curves, validation = (
            CurveFile(self.output / name, self.step) if self.ranks.first else None
            for name in (CURVES, VALIDATION)
        )
        every, self._started, saved_at = self.config.every, time.perf_counter(), self.seconds
        hidden = None if self.ranks.first else True
        with tqdm(total=self.config.steps, initial=self.step, unit="step", disable=hidden) as bar:
            while True:
                share, stopped = self.ranks.agree(self.share, stop())
                if share >= 1 or stopped:
                    break
                try:
                    self._take_step(share)
                except NonFiniteError:
                    self.save()
                    raise
                bar.update()
                if self.step % every.log_steps == 0:
                    bar.set_postfix(self._log_means(curves))
                if self.step % every.validation_steps == 0:
                    self._validate(validation)
                if _is_due(self.step, every.checkpoint_steps) or (
                    every.checkpoint_minutes and self.seconds - saved_at >= 60 * every.checkpoint_minutes
                ):
                    self.save()
                    saved_at = self.seconds
        finished = share >= 1
        if finished and self._means:
            self._log_means(curves)
        if finished and self._validated != self.step:
            self._validate(validation)
        self.save()
        return finished

    def save(self) -> None:
        """Write checkpoint and averaged weights, on the first process."""
        if not self.ranks.first:
            return
        state = Checkpoint(
            config=self.config.to_dict(),
            step=self.step,
            seconds=self.seconds,
            model=self.model.state_dict(),
            averaged=self.averaged.model.state_dict(),
            optimiser=self._optimiser.state_dict(),
            means=self._means.state_dict(),
            figures=self.figures,
            validated=self._validated,
        )
        save_checkpoint(self.output / CHECKPOINT, state)
        path, half = self.output / WEIGHTS, self.config.half_weights
        save_weights(path, self.averaged.model, self.config.task, self.task.metadata(), half)

    def _take_step(self, share: float) -> None:
        config = self.config.optimiser
        rate = learning_rate(config, self.step, share)
        for group in self._optimiser.param_groups:
            group["lr"] = rate * group.get(RATE, 1.0)
        self._optimiser.zero_grad()
        terms = self._micro_batches.gradients(self._losses)
        total = torch.stack([term.float() for term in terms.values()]).sum()
        norm = get_total_norm([p.grad for p in self._parameters if p.grad is not None])
        if not bool((total + norm).isfinite()):  # the only synchronisation with a GPU per step
            raise NonFiniteError(self._what_is_not_finite(terms))
        if config.clip_norm is not None:
            clip_grads_with_norm_(self._parameters, config.clip_norm, norm)
        self._optimiser.step()
        self.averaged.update(self.step)
        self._means.add({"gradient_norm": norm, "loss": total, **terms})
        self.step += 1

    def _losses(self, number: int) -> dict[str, Tensor]:
        """Return the loss terms of a micro-batch; the task may prepare this process's next one."""
        seed, own, count = self.config.seed, self._micro_batches.own, self._micro_batches.count
        following = (self.step, number + 1) if number + 1 in own else (self.step + 1, own[0])
        if number_batch := getattr(self.task, "number_batch", None):
            for step, part in ((self.step, number), following):
                number_batch(generator_ahead(seed, step, part), step * count + part)
        generator = seeded_generator(seed, self.step, number)
        if prepare := getattr(self.task, "prepare", None):
            prepare(generator_ahead(seed, *following))
        with autocast(self.config.precision, self.device):
            terms = self.task.losses(generator)
        _check_terms(terms)
        return terms

    def _what_is_not_finite(self, terms: dict[str, Tensor]) -> str:
        bad = [f"the loss term {name!r} is {t.item()}" for name, t in terms.items() if not t.isfinite()]
        gradients = [
            name
            for name, p in self.model.named_parameters()
            if p.grad is not None and not bool(p.grad.isfinite().all())
        ]
        if not bad:
            bad = [f"the gradient of {name} is not finite" for name in gradients[:3]]
        what = "; ".join(bad) or "the sum of the losses or the norm of the gradients overflows"
        return (
            f"stopped in step {self.step} (the first is 0): {what}. "
            f"The state before that step is in {self.output / CHECKPOINT}"
        )

    def _log_means(self, curves: CurveFile | None) -> dict[str, str]:
        """Write a row of the curves; returns the values for the progress bar."""
        means = self._means.take()
        group = self._optimiser.param_groups[0]
        rate = group["lr"] / group.get(RATE, 1.0)
        if curves is not None:
            curves.append({"step": self.step, "seconds": self.seconds, "learning_rate": rate, **means})
        shown = {"loss": f"{means['loss']:.4g}", "used": f"{self.share:.0%}"}
        return shown | {name: f"{value:.4g}" for name, value in self.figures.items()}

    def _validate(self, validation: CurveFile | None) -> None:
        if validation is None:
            return
        with torch.no_grad():
            figures = self.task.validate(self.averaged.model)
        self.figures = {name: float(value) for name, value in figures.items()}
        self._validated = self.step
        validation.append({"step": self.step, "seconds": self.seconds, **self.figures})
        text = ", ".join(f"{name} {value:.4g}" for name, value in self.figures.items())
        _log.info("step %d, %.0f s, %.0f %%: %s", self.step, self.seconds, 100 * self.share, text)


def _check_terms(terms: dict[str, Tensor]) -> None:
    wrong = {name: tuple(term.shape) for name, term in terms.items() if term.ndim}
    if wrong or not terms:
        raise ValueError(f"losses() must give at least one term and only scalars, got {wrong or 'none'}")


def _is_due(step: int, every: int | None) -> bool:
    return every is not None and step % every == 0
