"""The module compares training runs of the mesh network that differ in options and seeds (DiffHand, table 4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from matplotlib.figure import Figure

from hand_pose_ros.estimator.mesh_diffusion.backends import load_mesh_network
from hand_pose_ros.evaluation import report
from hand_pose_ros.evaluation.meshes.renders import MILLISECONDS, RenderedHands, scores_of
from hand_pose_ros.networks.mesh_diffusion.config import MeshEncoderConfig

FIGURES: Final = ("PA-MPVPE mm", "MPVPE mm", "PA F@5", "PA F@15", "PA AUC vertices", "99.9 % of edges below")
SHOWN: Final = FIGURES[0]
"""The figure that the plot shows."""
RunScores: TypeAlias = dict[str, dict[int | None, list[Mapping[str, float]]]]
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


def score_runs(
    folders: Sequence[Path],
    hands: Callable[[MeshEncoderConfig], RenderedHands],
    steps: Sequence[int],
    samples: int,
) -> RunScores:
    """Score the weights of all runs, those with diffusion in each number of steps.

    Args:
        folders: of hand_pose train. hands: reads the renders for an encoder.

    Returns:
        Group -> number of steps, None without diffusion -> scores of each seed.

    Raises:
        ValueError: as :func:`groups_of`.
    """
    scores: RunScores = {}
    for name, runs in groups_of(folders).items():
        of_group = scores.setdefault(name, {})
        for run in runs:
            network = load_mesh_network(run / "weights.safetensors", "torch", "cpu")
            of_run = hands(network.config.encoder)
            for count in steps if network.config.diffusion else (None,):
                found = scores_of(of_run, network, count or 1, samples)
                of_group.setdefault(count, []).append(found)
    return scores


def runs_table(scores: RunScores) -> str:
    """Format the mean of each group's seeds, with the lowest and highest, and the time relative to the fastest."""
    rows = {(name, count): found for name, by in scores.items() for count, found in by.items()}
    times = {row: _time(found) for row, found in rows.items()}
    fastest = min(times.values())
    cells = [
        [
            "-" if count is None else str(count),
            *(_mean_and_range([one[figure] for one in found], figure) for figure in FIGURES),
            report.cell(times[name, count] / fastest, 1),
        ]
        for (name, count), found in rows.items()
    ]
    return report.markdown_table(["", "steps", *FIGURES, "time"], [name for name, _ in rows], cells)


def plot_runs(scores: RunScores, path: Path) -> None:
    """Plot the error of each group in its best number of steps as bars, and error over time for each number.

    Bars and points are means of the seeds; the whiskers reach from the lowest to the highest.
    """
    figure = Figure(figsize=(9.2, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    fastest = min(_time(found) for by in scores.values() for found in by.values())
    for place, (name, by) in enumerate(scores.items()):
        colour = report.COLOURS[place % len(report.COLOURS)]
        ranges = np.array([_range([one[SHOWN] for one in found]) for found in by.values()])
        mean, whiskers = ranges[:, 0], ranges[:, 1:].T
        best = int(mean.argmin())
        left.bar([place], [mean[best]], color=colour, yerr=whiskers[:, best, None], capsize=5)
        seconds = [_time(found) / fastest for found in by.values()]
        right.errorbar(seconds, mean, yerr=whiskers, color=colour, marker="o", capsize=3, label=name)
        for count, at, error in zip(by, seconds, mean, strict=True):
            right.annotate(
                "" if count is None else str(count), (at, error), (3, 4), textcoords="offset points"
            )
    left.set_xticks(range(len(scores)), [name.replace("_", "\n") for name in scores], fontsize=8)
    left.set(ylabel=SHOWN, title="best number of steps")
    right.set_xscale("log", base=2)
    right.xaxis.set_major_formatter("{x:g}")
    right.set(xlabel="time, relative to the fastest", ylabel=SHOWN, title="by number of steps")
    right.legend(fontsize=7)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
    report.save_figure(figure, path)


def _time(found: Sequence[Mapping[str, float]]) -> float:
    """Return the median time of a hand over the seeds, milliseconds."""
    return float(np.median([one[MILLISECONDS] for one in found]))


def _range(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean, and how far the lowest and the highest are from it."""
    mean = float(np.mean(values))
    return mean, mean - float(np.min(values)), float(np.max(values)) - mean


def _mean_and_range(values: Sequence[float], figure: str) -> str:
    decimals = 1 if figure.endswith("mm") else 3
    low, high = (report.cell(float(one), decimals) for one in (np.min(values), np.max(values)))
    return f"{report.cell(float(np.mean(values)), decimals)} ({low} to {high})"
