"""What can be trained: the protocol between the trainer and a task, and the tasks by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from hand_pose_ros.common.late_import import import_named


class TrainingTask(Protocol):
    """A network, the data it is trained on, and the losses.

    model: everything that is trained, as one module; the trainer moves it to its device before the first call.

    A task may also have ``learning_rates``, factors on the learning rate of the parameters whose names start with
    the keys; and ``prepare(generator)``, called in each step with the next step's generator: the task may start to
    make that step's batch beside the step. ``losses`` must then give what it would give without.
    """

    model: nn.Module

    def losses(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Weighted scalar loss terms of one freshly made batch; their sum is minimised.

        Called under autocast if the run's precision is bf16: make the batch, and compute what needs digits,
        under :func:`hand_pose_ros.training.precision.full_precision`.

        Args:
            generator: of every random number, on the CPU whatever the device. Its state depends on the seed and
                the step only. Layers that draw for themselves, such as dropout, are seeded with it.
        """

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Figures of ``model``, the averaged copy in evaluation mode, on the same held-out data every time."""

    def metadata(self) -> dict:
        """What rebuilds the network, as JSON can hold it; stored in the weight file."""


TASKS: dict[str, str] = {
    "hand_diffusion": "hand_pose_ros.training.tasks.keypoints:DiffusionLifting.from_options",
    "hand_regressor": "hand_pose_ros.training.tasks.keypoints:RegressionLifting.from_options",
    "image_hand_diffusion": "hand_pose_ros.training.tasks.image_diffusion:ImageDiffusionLifting.from_options",
    "image_hand_regressor": "hand_pose_ros.training.tasks.image_baseline:ImageRegressionLifting.from_options",
    "temporal": "hand_pose_ros.training.tasks.temporal:TemporalSmoothing.from_options",
}
"""Name -> 'module:function' that makes the task from its options. The name is the kind of the weight file."""


def create_task(name: str, options: Mapping, seed: int) -> TrainingTask:
    """Make the task ``name``, one of :data:`TASKS` or 'module:function' of one's own.

    Args:
        options: handed to the function, which refuses those that it does not know.
        seed: of the network's first weights.

    Raises:
        ValueError: no such task, or it refuses its options.
    """
    path = TASKS.get(name, name)
    if ":" not in path:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, or 'module:function', got {name!r}")
    function: Callable[[dict], TrainingTask] = import_named(path)
    torch.manual_seed(seed)
    return function(dict(options))
