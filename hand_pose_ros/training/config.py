"""The configuration of a training run is read from a YAML file; docs/how/training.md shows one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from hand_pose_ros.common.dataclass_reading import read_dataclass
from hand_pose_ros.common.device import DEVICES
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.training.config_files import differences, read_yaml, with_overrides
from hand_pose_ros.training.precision import PRECISIONS

ADAMW: Final = "adamw"
SGD: Final = "sgd"
METHODS: Final = (ADAMW, SGD)
COSINE: Final = "cosine"
STEPS: Final = "steps"
SCHEDULES: Final = (COSINE, STEPS)
_FIRST_OPTIMISER: Final = {"method": ADAMW, "schedule": COSINE, "decay_at": [], "momentum": 0.9}
_FREE_KEYS = ("device", "threads", "every")
"""Keys that do not affect the result of training: they may change when a run is resumed."""


@dataclass(frozen=True)
class OptimiserConfig:
    """Settings of the optimiser, the learning-rate schedule, clipping and averaging.

    method: 'adamw' or 'sgd'. schedule: 'cosine' or 'steps'.
    learning_rate: peak of the schedule, after a linear rise over ``warm_up_steps``. The cosine falls to
        ``final_learning_rate`` times the peak at the end of the budget. With 'steps' the rate is divided by 10 at
        each of ``decay_at``, shares of the budget.
    weight_decay: decay of matrices and kernels; vectors (biases, normalisation) do not decay.
    betas: decay rates of Adam's two moments. momentum: of SGD.
    clip_norm: gradients with a larger norm are scaled to it; null does not clip.
    ema_decay: fraction of the averaged weights that a step keeps, 0 for no averaging. Early steps keep less.
    """

    method: str = ADAMW
    learning_rate: float = 1e-3
    schedule: str = COSINE
    decay_at: tuple[float, ...] = ()
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    momentum: float = 0.9
    warm_up_steps: int = 500
    final_learning_rate: float = 0.01
    clip_norm: float | None = 1.0
    ema_decay: float = 0.999

    def __post_init__(self) -> None:
        _check(self, "method", self.method in METHODS, f"one of {', '.join(METHODS)}")
        _check(self, "schedule", self.schedule in SCHEDULES, f"one of {', '.join(SCHEDULES)}")
        given = bool(self.decay_at) == (self.schedule == STEPS)
        _check(self, "decay_at", given, "given for the schedule 'steps', and for no other")
        _check(self, "decay_at", all(0 < share < 1 for share in self.decay_at), "shares between 0 and 1")
        _check(self, "momentum", 0 <= self.momentum < 1, "in [0, 1)")
        _check(self, "learning_rate", self.learning_rate > 0, "above 0")
        _check(self, "weight_decay", self.weight_decay >= 0, "0 or more")
        _check(self, "betas", all(0 <= beta < 1 for beta in self.betas), "two numbers in [0, 1)")
        _check(self, "warm_up_steps", self.warm_up_steps >= 0, "0 or more")
        _check(self, "final_learning_rate", 0 <= self.final_learning_rate <= 1, "between 0 and 1")
        _check(self, "clip_norm", self.clip_norm is None or self.clip_norm > 0, "above 0, or null")
        _check(self, "ema_decay", 0 <= self.ema_decay < 1, "in [0, 1)")


@dataclass(frozen=True)
class EveryConfig:
    """Intervals of curve rows, validations and checkpoints (by steps, minutes or both)."""

    log_steps: int = 100
    validation_steps: int = 1000
    checkpoint_steps: int | None = None
    checkpoint_minutes: float | None = 5.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            optional = name.startswith("checkpoint")
            fine = value > 0 if value is not None else optional
            _check(self, name, fine, "above 0, or null" if optional else "above 0")


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that determines a run.

    task: one of :data:`hand_pose_ros.training.task.TASKS`, or 'module:function'. options: options of the task.
    steps, minutes: the budget; the run ends when the first is used up, and one may be null. With minutes the
        learning rate follows the clock, so that such a run cannot be repeated exactly.
    seed: seed of the initial weights and of every batch.
    device: 'auto', 'cpu' or 'cuda'. precision: 'auto', 'fp32' or 'bf16'.
    threads: CPU threads; null keeps PyTorch's choice.
    micro_batches: batches of a step, each of the task's batch size and with random numbers of its own; their
        gradients are averaged. The processes of ``torchrun`` share them evenly, so that the result does not depend
        on the number of processes; one process takes them one after the other, with the memory of one.
    half_weights: store the weight file with 16 bits.
    """

    task: str
    options: Mapping = field(default_factory=dict)
    steps: int | None = None
    minutes: float | None = None
    seed: int = Seed.TRAINING.value
    device: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    micro_batches: int = 1
    half_weights: bool = False
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    every: EveryConfig = field(default_factory=EveryConfig)

    def __post_init__(self) -> None:
        _check(self, "steps", self.steps is None or self.steps > 0, "above 0, or null")
        _check(self, "minutes", self.minutes is None or self.minutes > 0, "above 0, or null")
        if self.steps is None and self.minutes is None:
            raise ValueError("steps or minutes must be given: a run needs an end")
        _check(self, "seed", 0 <= self.seed < 2**63, "in [0, 2^63)")
        _check(self, "device", self.device in DEVICES, f"one of {', '.join(DEVICES)}")
        _check(self, "precision", self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}")
        _check(self, "threads", self.threads is None or self.threads > 0, "above 0, or null")
        _check(self, "micro_batches", self.micro_batches > 0, "above 0")

    def to_dict(self) -> dict:
        """Convert to values that JSON and YAML can hold."""
        values = asdict(self)
        values["options"] = _plain(values["options"])
        for name in ("betas", "decay_at"):
            values["optimiser"][name] = list(getattr(self.optimiser, name))
        return values


def read_config(path: str | Path, overrides: Sequence[str] = ()) -> TrainingConfig:
    """Read the configuration in a YAML file, with 'section.key=value' overrides.

    Raises:
        ValueError: the file cannot be read, or holds an unknown key or a bad value; names file and key.
    """
    values = with_overrides(read_yaml(path), overrides)
    try:
        return read_dataclass(TrainingConfig, values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def check_same_training(config: TrainingConfig, earlier: Mapping) -> None:
    """Check that ``config`` trains the same as ``earlier``, the configuration dict of a run to be resumed.

    Device, threads and the intervals of writing may differ.

    Raises:
        ValueError: names the keys that differ, with both values.
    """
    # Older runs say neither the micro-batches nor the optimiser, which were one and AdamW with a cosine.
    optimiser = {**_FIRST_OPTIMISER, **earlier.get("optimiser", {})}
    found = differences({"micro_batches": 1, **earlier, "optimiser": optimiser}, config.to_dict())
    changed = [f"{k} was {a!r}, is {b!r}" for k, (a, b) in found.items() if k.split(".")[0] not in _FREE_KEYS]
    if changed:
        raise ValueError(f"the run to resume was started with another configuration: {'; '.join(changed)}")


def _check(config: object, name: str, fine: bool, expected: str) -> None:
    if not fine:
        raise ValueError(f"{name} must be {expected}, got {getattr(config, name)!r}")


def _plain(value: object) -> object:
    """Convert mappings and sequences to dicts and lists."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value
