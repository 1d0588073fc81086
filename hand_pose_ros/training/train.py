"""The ``hand_pose train`` command trains a network as a YAML file says (docs/how/training.md)."""

from __future__ import annotations

import argparse
import json
import logging
import platform
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import torch
import yaml

from hand_pose_ros.common.device import resolve_device
from hand_pose_ros.files.atomic_file import write_text_atomically
from hand_pose_ros.training.config import TrainingConfig, read_config
from hand_pose_ros.training.ranks import RankError, Ranks
from hand_pose_ros.training.task import create_task
from hand_pose_ros.training.trainer import CHECKPOINT, NonFiniteError, Trainer

CONFIG, SUMMARY = "config.yaml", "summary.json"
"""This command's files in the output folder, beside those of the trainer."""
_RUNS = Path("runs")
_LIBRARIES = ("torch", "numpy", "safetensors")
_log = logging.getLogger(__name__)


def prepare(config: TrainingConfig, output: Path, resume: bool, ranks: Ranks | None = None) -> Trainer:
    """Make a trainer that is ready to run, and write its configuration to ``output``.

    Args:
        ranks: joined processes of the run; the first one writes.

    Raises:
        ValueError: the task, the device or the checkpoint is missing or does not fit; or ``output`` already holds
            a run and ``resume`` is false.
    """
    ranks = ranks or Ranks()
    if not resume and ranks.from_first((output / CHECKPOINT).exists):
        raise ValueError(f"{output} holds a run already: give --resume, or another --output")
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    trainer = Trainer(create_task(config.task, config.options, config.seed), config, output, ranks)
    if resume:
        trainer.resume()
    if ranks.first:
        write_text_atomically(output / CONFIG, yaml.safe_dump(config.to_dict(), sort_keys=False))
    return trainer


def summary(trainer: Trainer, command: list[str], finished: bool) -> dict:
    """Summarise a run for the model card, as JSON can hold it."""
    return {
        "command": command,
        "finished": finished,
        "steps": trainer.step,
        "seconds": round(trainer.seconds, 1),
        "seed": trainer.config.seed,
        "figures": trainer.figures,
        "parameters": sum(p.numel() for p in trainer.model.parameters()),
        "device": torch.cuda.get_device_name() if trainer.device.type == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
        "processes": trainer.ranks.world,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES},
        "network": trainer.task.metadata(),
        "config": trainer.config.to_dict(),
    }


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in a list instead of ending the process; a second one ends it."""
    received: list[int] = []

    def note(number: int, _frame: object) -> None:
        received.append(number)
        signal.signal(number, previous[number])

    previous = {int(number): signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns 0 at the end of the budget, 1 after a NaN, 2 for bad input, 128 + n on signal n."""
    parser = argparse.ArgumentParser(
        prog="hand_pose train", description="Train a network as a YAML file says."
    )
    parser.add_argument("--config", type=Path, help="YAML file; that of the run itself if it is resumed")
    parser.add_argument("--output", type=Path, help="folder of the run; runs/<name of the file> if not given")
    parser.add_argument("--resume", action="store_true", help="go on with the run in the output folder")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    options = parser.parse_args(arguments)
    if not options.config and not (options.resume and options.output):
        parser.error("give --config, or --resume with --output")
    output: Path = options.output or _RUNS / options.config.stem
    try:
        ranks = Ranks.from_environment()
        level = logging.INFO if ranks.first else logging.WARNING
        logging.basicConfig(level=level, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
        config = read_config(options.config or output / CONFIG, options.overrides)
        with ranks.joined(resolve_device(config.device)):
            return _train(config, output, options.resume, ranks, arguments)
    except ValueError as error:
        parser.exit(2, f"hand_pose train: {error}\n")
    except (NonFiniteError, RankError) as error:
        parser.exit(1, f"hand_pose train: {error}\n")


def _train(
    config: TrainingConfig, output: Path, resume: bool, ranks: Ranks, arguments: list[str] | None
) -> int:
    """Train and sum up; returns the exit status."""
    trainer = prepare(config, output, resume, ranks)
    _log.info("%s on %s, from step %d, in %s", config.task, trainer.device, trainer.step, output)
    with stop_signals() as signals:
        finished = trainer.run(lambda: bool(signals))
    if ranks.first:
        command = ["hand_pose", "train", *(sys.argv[1:] if arguments is None else arguments)]
        text = json.dumps(summary(trainer, command, finished), indent=1)
        write_text_atomically(output / SUMMARY, text + "\n")
    if not finished:
        _log.info(
            "stopped after step %d; go on with: hand_pose train --resume --output %s", trainer.step, output
        )
        return 128 + (signals[0] if signals else signal.SIGTERM)
    _log.info("finished after step %d: %s", trainer.step, output)
    return 0
