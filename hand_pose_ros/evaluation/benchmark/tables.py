"""Tables of a benchmark: our rows beside the published ones, as Markdown and as plain values for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from hand_pose_ros.datasets.protocols import Protocol
from hand_pose_ros.datasets.published import PublishedRow
from hand_pose_ros.evaluation.benchmark.scoring import Score
from hand_pose_ros.evaluation.report import COLOURS, cell, markdown_table, save_figure

FOUND = "found %"


def benchmark_table(
    protocol: Protocol,
    scores: Mapping[str, Score],
    found: Mapping[str, float],
    published: Sequence[PublishedRow],
) -> str:
    """Format our methods, then the published ones; a column for each figure that any row has.

    Args:
        scores: by method. found: share of hands that each method estimates.
    """
    rows = [(name, one.figures) for name, one in scores.items()]
    theirs = [(f"{row.method} ({row.source})", row.figures) for row in published]
    columns = [
        name for name in protocol.figures if any(_known(figures, name) for _, figures in rows + theirs)
    ]
    cells = [
        [*(figure_cell(figures, name) for name in columns), cell(100 * found[method], 1)]
        for method, figures in rows
    ]
    cells += [[*(figure_cell(figures, name) for name in columns), "-"] for _, figures in theirs]
    return markdown_table(["method", *columns, FOUND], [name for name, _ in rows + theirs], cells)


def benchmark_values(
    scores: Mapping[str, Score], found: Mapping[str, float], published: Sequence[PublishedRow]
) -> dict[str, Any]:
    """Return the table as plain values; a figure that is not known is None."""
    return {
        "methods": {
            name: {
                "figures": {key: None if np.isnan(value) else value for key, value in one.figures.items()},
                "found": found[name],
                "curves": {
                    key: {"thresholds": curve[0], "shares": curve[1]} for key, curve in one.curves.items()
                },
            }
            for name, one in scores.items()
        },
        "published": [vars(row) for row in published],
    }


def plot_curves(scores: Mapping[str, Score], path: Path) -> None:
    """Plot the correct keypoints over the threshold, a panel for each AUC of the protocol."""
    names = list(dict.fromkeys(name for one in scores.values() for name in one.curves))
    if not names:
        return
    figure = Figure(figsize=(4.6 * len(names), 4.2), layout="constrained")
    for axes, name in zip(np.atleast_1d(figure.subplots(1, len(names))), names, strict=True):
        for colour, (method, one) in zip(COLOURS, scores.items(), strict=False):
            if name in one.curves:
                label = f"{method} ({one.figures[name]:.3f})"
                axes.plot(*one.curves[name], label=label, color=colour)
        axes.set(title=name, xlabel=f"threshold ({name.split()[-1]})", ylim=(0, 1.02))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, loc="lower right")
    save_figure(figure, path)


def _known(figures: Mapping[str, float], name: str) -> bool:
    return name in figures and not np.isnan(figures[name])


def figure_cell(figures: Mapping[str, float], name: str) -> str:
    """Format a figure by name: shares with three digits, others with two; '-' where it is not known."""
    shares = "AUC" in name or "F@" in name or "heads" in name
    return cell(figures.get(name, float("nan")), 3 if shares else 2)
