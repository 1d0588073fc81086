"""A checkpoint stores the state of a training run in a file, from which the run resumes without a difference."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import torch

from hand_pose_ros.files.atomic_file import atomic_path
from hand_pose_ros.files.bounded_text import shortened

_FORMAT = 1


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Everything that a run needs to resume.

    config: dict of its :class:`TrainingConfig`. step: number of steps taken. seconds: time that they took.
    model, averaged, optimiser, means: state dicts. figures: results of the last validation, after ``validated``
    steps.
    """

    config: dict
    step: int
    seconds: float
    model: dict
    averaged: dict
    optimiser: dict
    means: dict
    figures: dict
    validated: int


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write ``checkpoint`` atomically, see :func:`atomic_path`."""
    with atomic_path(path) as unfinished:
        torch.save({"format": _FORMAT, **vars(checkpoint)}, unfinished)


def load_checkpoint(path: Path, device: torch.device) -> Checkpoint:
    """Read a file of :func:`save_checkpoint`, with its tensors on ``device``.

    Raises:
        ValueError: the file is missing, damaged, or not a checkpoint of this package.
    """
    if not path.is_file():
        raise ValueError(f"there is no checkpoint {path} to resume from")
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except (
        OSError,
        RuntimeError,
        EOFError,
        ValueError,
        TypeError,
        KeyError,
        pickle.UnpicklingError,
    ) as error:
        raise ValueError(f"{path} cannot be read as a checkpoint: {shortened(str(error))}") from error
    if not isinstance(state, dict) or state.pop("format", None) != _FORMAT:
        raise ValueError(f"{path} is not a checkpoint of this version of hand_pose_ros")
    try:
        return Checkpoint(**state)
    except TypeError as error:
        raise ValueError(f"{path} is not a complete checkpoint: {shortened(str(error))}") from error
