"""Reads trained 2.5D networks: weight files, or folders of training runs, whose repetitions form one group."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from hand_pose_ros.networks.heatmap.network import HeatmapNetwork
from hand_pose_ros.networks.registry import HAND_HEATMAP, load_network

_REPETITION: Final = re.compile(r"_\d+$")


class Run(NamedTuple):
    """A network, its weight file, and the steps of its training; 0 if they are not known."""

    path: Path
    network: HeatmapNetwork
    steps: int


class Spread(NamedTuple):
    """Mean and standard deviation over repetitions; the latter is NaN for a single one."""

    mean: float
    deviation: float


def read_runs(paths: Sequence[Path]) -> dict[str, list[Run]]:
    """Read weight files and folders of ``hand_pose train``, by group.

    A group's name is that of the file or the folder without a number at its end: ``latent_1`` and ``latent_2`` are
    repetitions of ``latent``.

    Raises:
        ValueError: a folder holds no finished run, or a file no 2.5D network.
    """
    groups: dict[str, list[Run]] = {}
    for path in paths:
        steps, file = 0, path
        if path.is_dir():
            file = path / "weights.safetensors"
            try:
                steps = int(json.loads((path / "summary.json").read_text(encoding="utf-8"))["steps"])
            except (OSError, KeyError, ValueError) as error:
                raise ValueError(f"{path} does not hold a finished run: {error}") from error
        name = _REPETITION.sub("", path.name if path.is_dir() else path.stem)
        network = load_network(file, HAND_HEATMAP).network
        groups.setdefault(name, []).append(Run(file, network.eval(), steps))
    return groups


def spread_of(figures: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Return the mean and the standard deviation of each figure over repetitions."""
    spreads = {}
    for name in figures[0]:
        values = np.array([one[name] for one in figures])
        deviation = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
        spreads[name] = Spread(float(values.mean()), deviation)
    return spreads
