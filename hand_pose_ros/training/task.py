"""The module defines the protocol between the trainer and a task, and the tasks by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from hand_pose_ros.common.late_import import import_named


class TrainingTask(Protocol):
    """A task has a network, training data, and losses.

    model: everything that is trained, as one module; the trainer moves it to its device before the first call.

    A task may also have ``learning_rates``, factors on the learning rate of the parameters whose names start with
    the keys; and ``prepare(generator)``, called before each batch with the generator of the next: the task may
    start to make that batch in parallel. It must not change the result of ``losses``. ``make_data()`` is called
    once before the first step: it stores the files that the task makes of its data; of several processes one does
    so first. ``number_batch(generator, number)`` is called before both with the batch's number in the run, counted
    over all micro-batches of all steps: a task that reads its data in order needs it.
    """

    @property
    def model(self) -> nn.Module:
        """Everything that is trained."""
        ...

    def losses(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Weighted scalar loss terms of one freshly made batch; their sum is minimised.

        Called under autocast if the run's precision is bf16: make the batch, and compute what needs digits,
        under :func:`hand_pose_ros.training.precision.full_precision`.

        Args:
            generator: source of every random number, always on the CPU. Its state depends on seed, step and the
                micro-batch in the step only.
                Layers with their own random numbers, such as dropout, are seeded with it.
        """
        ...

    def validate(self, model: Any) -> dict[str, float]:
        """Evaluate ``model``, the averaged copy in evaluation mode, on the same held-out data every time."""
        ...

    def metadata(self) -> dict:
        """Return the configuration that rebuilds the network, as JSON can hold it; the weight file stores it."""
        ...


TASKS: dict[str, str] = {
    "hand_diffusion": "hand_pose_ros.training.tasks.keypoints:DiffusionLifting.from_options",
    "hand_regressor": "hand_pose_ros.training.tasks.keypoints:RegressionLifting.from_options",
    "image_hand_diffusion": "hand_pose_ros.training.tasks.images.diffusion:ImageDiffusionLifting.from_options",
    "image_hand_regressor": "hand_pose_ros.training.tasks.images.baseline:ImageRegressionLifting.from_options",
    "hand_orientation": "hand_pose_ros.training.tasks.orientation.task:OrientationTraining.from_options",
    "hand_heatmap": "hand_pose_ros.training.tasks.heatmap.task:HeatmapTraining.from_options",
    "hand_detector": "hand_pose_ros.training.tasks.hand_detector.task:DetectorTraining.from_options",
    "landmark_error": "hand_pose_ros.training.tasks.landmark_error:LandmarkErrorTraining.from_options",
    "mesh_diffusion": "hand_pose_ros.training.tasks.mesh_diffusion.task:MeshTraining.from_options",
    "temporal": "hand_pose_ros.training.tasks.temporal:TemporalSmoothing.from_options",
}
"""Name -> 'module:function' that makes the task from its options. The name is the kind of the weight file."""


def create_task(name: str, options: Mapping, seed: int) -> TrainingTask:
    """Make the task ``name``, one of :data:`TASKS` or 'module:function' of one's own.

    Args:
        options: passed to the function, which rejects unknown ones.
        seed: seed of the network's initial weights.

    Raises:
        ValueError: the task does not exist, or it rejects its options.
    """
    path = TASKS.get(name, name)
    if ":" not in path:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, or 'module:function', got {name!r}")
    function: Callable[[dict], TrainingTask] = import_named(path)
    torch.manual_seed(seed)
    return function(dict(options))
