"""The module compares training runs of the mesh network that differ in options and seeds (DiffHand, table 4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from hand_pose_ros.estimator.mesh_diffusion.backends import load_mesh_network
from hand_pose_ros.evaluation import report
from hand_pose_ros.evaluation.meshes.renders import RenderedHands, scores_of
from hand_pose_ros.networks.mesh_diffusion.config import MeshEncoderConfig

FIGURES: Final = ("PA-MPVPE mm", "MPVPE mm", "PA F@5", "PA F@15", "PA AUC vertices", "99.9 % of edges below")
_SEED: Final = "-seed"


def groups_of(folders: Sequence[Path]) -> dict[str, list[Path]]:
    """Return runs by their folder's name without its end ``-seedN``; the groups must have equally many seeds.

    Raises:
        ValueError: a folder holds no weights, or the numbers of seeds differ.
    """
    groups: dict[str, list[Path]] = {}
    for folder in folders:
        if not (folder / "weights.safetensors").is_file():
            raise ValueError(f"{folder} does not hold a finished run: it has no weights.safetensors")
        groups.setdefault(folder.name.split(_SEED, maxsplit=1)[0], []).append(folder)
    counts = {name: len(runs) for name, runs in groups.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"the runs must have equally many seeds each, got {counts}")
    return groups


def runs_table(
    folders: Sequence[Path],
    hands: Callable[[MeshEncoderConfig], RenderedHands],
    steps: int,
    samples: int,
) -> str:
    """Score the weights of all runs; the table has the mean of each group's seeds, and the lowest and highest.

    Args:
        folders: of hand_pose train. hands: reads the renders for an encoder.

    Raises:
        ValueError: as :func:`groups_of`.
    """
    scores: dict[str, list[Mapping[str, float]]] = {}
    for name, runs in groups_of(folders).items():
        for run in runs:
            network = load_mesh_network(run / "weights.safetensors", "torch", "cpu")
            found = scores_of(hands(network.config.encoder), network, steps, samples)
            scores.setdefault(name, []).append(found)
    cells = [
        [_mean_and_range([one[figure] for one in of_group], figure) for figure in FIGURES]
        for of_group in scores.values()
    ]
    return report.markdown_table(["", *FIGURES], list(scores), cells)


def _mean_and_range(values: Sequence[float], figure: str) -> str:
    decimals = 1 if figure.endswith("mm") else 3
    low, high = (report.cell(float(one), decimals) for one in (np.min(values), np.max(values)))
    return f"{report.cell(float(np.mean(values)), decimals)} ({low} to {high})"
