"""Runs of the trainer in several processes that are connected as ``torchrun`` connects them.

``python -m helpers.rank_runs SCENARIO FOLDER``: one of the processes.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch

from hand_pose_ros.training.config import TrainingConfig
from hand_pose_ros.training.ranks import RankError, Ranks
from hand_pose_ros.training.train import prepare
from hand_pose_ros.training.trainer import NonFiniteError, Trainer
from helpers.image_networks import small_config as small_networks
from helpers.training import SineRegression, training_config

TEST: Final = Path(__file__).resolve().parents[1]
STEPS: Final = 40


class Regression(SineRegression):
    """Without the bias that batch normalisation undoes: AdamW makes steps of its gradient, which is rounding."""

    def __init__(self, width: int, batch_size: int) -> None:
        super().__init__(width, batch_size)
        self.model["encoder"][0].bias.requires_grad_(False)


def small_config() -> TrainingConfig:
    """A short run of four micro-batches a step."""
    return training_config(
        task="helpers.rank_runs:Regression.make", steps=STEPS, micro_batches=4, options={"batch_size": 8}
    )


def task_configs(folder: Path) -> dict[str, TrainingConfig]:
    """Three steps of two micro-batches of the package's own tasks, with hand images from ``folder``."""
    network, images = small_networks().to_dict(), [str(folder / "images")]
    mesh = {"points": 64, "width": 32, "heads": 2, "levels": 2, "steps": 20}
    resnet = {"kind": "resnet", "size_px": 64}
    of_run = {
        "hand_diffusion": {"batch_size": 4, "validation_hands": 4, "network": network["diffusion"]},
        "image_hand_diffusion": {
            "data": {"rendered": images, "batch_size": 4, "held_back": 4, "negatives": 2},
            "keypoint_hands": 4,
            "image_losses": {"contrastive": 0.1},
            "network": network,
        },
        "hand_heatmap": {
            "data": {"rendered": images, "batch_size": 4, "held_back": 4},
            "network": {"image_size": 32, "width": 16, "levels": 3},
        },
        "mesh_diffusion": {
            "bank": str(folder / "bank"),
            "rendered": {"folders": images},
            "validation": {"folders": images, "exact": True},
            "batch_size": 4,
            "network": mesh,
        },
        "mesh_diffusion on new crops": {
            "bank": "",
            "rendered": {"folders": images},
            "batch_size": 4,
            "network": mesh | {"encoder": resnet},
        },
    }
    return {
        run: training_config(task=run.split()[0], options=options, steps=3, micro_batches=2)
        for run, options in of_run.items()
    }


def train(
    config: TrainingConfig, output: Path, ranks: Ranks, resume: bool = False, until: int = -1
) -> Trainer:
    """Train to the end, or stop before step ``until``; keeps the state of this rank beside the run's files."""
    trainer = prepare(config, output, resume, ranks)
    trainer.run(lambda: trainer.step == until)
    state = {
        "model": trainer.model.state_dict(),
        "averaged": trainer.averaged.model.state_dict(),
        "moments": trainer._optimiser.state_dict()["state"],
    }
    torch.save(state, output.with_name(f"{output.name}.rank{ranks.rank}.pt"))
    return trainer


def learn(folder: Path, ranks: Ranks) -> None:
    """Every run that succeeds."""
    train(small_config(), folder / "whole", ranks)
    assert train(small_config(), folder / "parts", ranks, until=13 if ranks.rank == 1 else -1).step == 13
    train(small_config(), folder / "parts", ranks, resume=True)
    for name, config in task_configs(folder).items():
        train(config, folder / name, ranks)
    try:
        prepare(small_config(), folder / "whole", False, ranks)
    except ValueError as error:
        (folder / f"refused{ranks.rank}").write_text(str(error))


class FailingOnOne(SineRegression):
    """Fails in the sixth batch of the last rank: by an error, a NaN, or the end of the process."""

    batches = 0

    def losses(self, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """As the parent's, five times."""
        terms = super().losses(generator)
        type(self).batches += 1
        if self.batches == 6 and os.environ["RANK"] == "1":
            if os.environ["FAILURE"] == "error":
                raise OSError("the shard is gone")
            if os.environ["FAILURE"] == "end":
                os._exit(7)
            terms["squared"] = terms["squared"] * torch.nan
        return terms


def fail(folder: Path, ranks: Ranks, kind: str) -> None:
    """A run in which one rank fails; each rank writes how its run ends."""
    os.environ["FAILURE"] = kind
    config = training_config(task="helpers.rank_runs:FailingOnOne.make", micro_batches=2)
    try:
        train(config, folder / kind, ranks)
    except (RankError, NonFiniteError, OSError) as error:
        (folder / f"{kind}{ranks.rank}").write_text(f"{type(error).__name__}: {error}")
        raise SystemExit(1) from error


SCENARIOS: Final[dict[str, Callable[[Path, Ranks], object]]] = {
    "learn": learn,
    "resume": lambda folder, ranks: train(small_config(), folder / "whole", ranks, resume=True),
    "error": lambda folder, ranks: fail(folder, ranks, "error"),
    "end": lambda folder, ranks: fail(folder, ranks, "end"),
    "nan": lambda folder, ranks: fail(folder, ranks, "nan"),
}


def environment() -> dict[str, str]:
    """The environment of a process that imports the package and the helpers."""
    return {**os.environ, "PYTHONPATH": f"{TEST}{os.pathsep}{TEST.parent}", "OMP_NUM_THREADS": "1"}


def start(scenario: str, folder: Path, world: int = 2) -> list[tuple[int, str]]:
    """Run a scenario in ``world`` processes; returns the exit status and the errors of each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        **environment(),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(world),
    }
    command = [sys.executable, "-m", "helpers.rank_runs", scenario, str(folder)]
    processes = [
        subprocess.Popen(
            command,
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]
    try:
        errors = [process.communicate(timeout=400)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, text) for process, text in zip(processes, errors, strict=True)]


if __name__ == "__main__":
    torch.set_num_threads(1)
    of_run = Ranks.from_environment()
    with of_run.joined(torch.device("cpu")):
        SCENARIOS[sys.argv[1]](Path(sys.argv[2]), of_run)
