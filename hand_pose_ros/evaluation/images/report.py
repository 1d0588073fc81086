"""Formats the evaluation of networks with an image encoder: tables and a plot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.figure import Figure as Plot

from hand_pose_ros.evaluation.images.degradation import Series, over_found, rise
from hand_pose_ros.evaluation.images.degrade import BLUR_EXTENTS, HIDDEN_SHARES, STRENGTHS
from hand_pose_ros.evaluation.images.methods import BOTH, IMAGE, KEYPOINTS
from hand_pose_ros.evaluation.images.scores import Figure, JointErrors, figure, hand_means, mean, median
from hand_pose_ros.evaluation.report import COLOURS, cell, markdown_table, save_figure
from hand_pose_ros.hand_images.real.sources import SOURCES
from hand_pose_ros.hand_images.shards import HandImages

_PHOTO_COLUMNS: Final = {
    "PA-MPJPE mm": 1, "root-relative mm": 1, "size given mm": 1, "absolute mm": 1, "EPE px of 128": 1,
    "failed": 0,
}  # fmt: skip
_AXES: Final = {
    "motion_blur": ("motion blur: length, half extents of the hand", BLUR_EXTENTS),
    "occlusion": ("occlusion: share of the joints that is covered", HIDDEN_SHARES),
}

_WITH_IMAGE: Final = f"{IMAGE}, {BOTH}"


def rendered_table(title: str, errors: Mapping[str, JointErrors], visible: np.ndarray) -> str:
    """Format a row for each method: means over all joints, and in brackets over visible / hidden ones.

    Args:
        errors: errors of n hands. visible: (n, 21).
    """
    columns = [
        "method",
        "hands",
        "PA-MPJPE mm",
        "root-relative mm",
        "2D EPE px of 128",
        "its image points, px",
    ]
    cells = [
        [
            str(int(np.isfinite(one.aligned_mm).any(1).sum())),
            *(_split(figure(value, visible)) for value in one),
        ]
        for one in errors.values()
    ]
    return f"**{title}**\n\n{markdown_table(columns, list(errors), cells)}"


def real_table(title: str, errors: Mapping[str, JointErrors]) -> str:
    """Format 2D errors per hand: mean, median, 90th percentile, and the mean of the image points."""
    columns = ["method", "hands", "2D EPE px of 128, mean", "median", "90 %", "its image points, mean"]
    cells = []
    for one in errors.values():
        hands = hand_means(one.projected_px)
        known = hands[np.isfinite(hands)]
        most = float(np.percentile(known, 90)) if len(known) else float("nan")
        values = (mean(hands), median(hands), most, mean(hand_means(one.points_px)))
        cells.append([str(len(known)), *(cell(value, 1) for value in values)])
    return f"**{title}**\n\n{markdown_table(columns, list(errors), cells)}"


def source_table(errors: JointErrors, images: HandImages, method: str) -> str:
    """Format the 2D errors of one method for each source of real photos."""
    names, cells = [], []
    for number in np.unique(images.source):
        rows = images.source == number
        source = SOURCES[number - 1] if 0 < number <= len(SOURCES) else None
        hands = hand_means(errors.projected_px[rows])
        names.append(source.content if source else f"source {number}")
        cells.append([str(int(rows.sum())), cell(mean(hands), 1), cell(median(hands), 1)])
    return markdown_table([f"{method}, by source", "hands", "mean, px of 128", "median"], names, cells)


def photo_table(title: str, figures: Mapping[str, Mapping[str, float]]) -> str:
    """Format method -> ``photo_figures`` of labelled photos."""
    cells = [
        [cell(row[name], decimals) for name, decimals in _PHOTO_COLUMNS.items()] for row in figures.values()
    ]
    table = markdown_table(["method", *_PHOTO_COLUMNS], list(figures), cells) if figures else "No hand."
    return f"**{title}**\n\n{table}"


def degradation_table(series: Mapping[str, Series]) -> str:
    """Format PA-MPJPE without degradation and its rise with each strength, on hands found at both."""
    columns = ["method", "PA-MPJPE mm, strength 0", *(f"+{strength}" for strength in STRENGTHS[1:])]
    tables = []
    for kind, of_kind in series.items():
        cells = []
        for errors in of_kind.errors.values():
            rises = rise(errors.aligned, of_kind.found)
            first = over_found(errors.aligned, of_kind.found)[0]
            cells.append([cell(first, 1), *(f"{value:+.1f}" for value in rises[1:])])
        shares = of_kind.found.mean(1)
        names = [*of_kind.errors, "hands that the detector finds, %"]
        cells.append([cell(100 * float(share), 0) for share in shares])
        tables.append(f"**{kind.replace('_', ' ')}**\n\n{markdown_table(columns, names, cells)}")
    return "\n\n".join(tables)


def plot_degradation(series: Mapping[str, Series], path: Path) -> None:
    """Plot a row of panels for each kind: PA and root-relative errors, and the share without an estimate."""
    plot = Plot(figsize=(13.2, 4.0 * len(series)), layout="constrained")
    rows = plot.subplots(len(series), 3, squeeze=False)
    for panels, (kind, of_kind) in zip(rows, series.items(), strict=True):
        label, x = _AXES[kind]
        for colour, (name, errors) in zip(COLOURS, of_kind.errors.items(), strict=False):
            for axes, values in zip(panels[:2], errors, strict=True):
                axes.plot(x, over_found(values, of_kind.found), marker="o", color=colour, label=name)
                if name in (IMAGE, BOTH):
                    every = np.array([mean(row) for row in values])
                    axes.plot(x, every, linestyle="--", color=colour, label=f"{name}, all hands")
            if name in (IMAGE, KEYPOINTS):
                missing = 100 * (1 - np.isfinite(errors.aligned).mean(1))
                panels[2].plot(
                    x, missing, marker="o", color=colour, label=_WITH_IMAGE if name == IMAGE else name
                )
        titles = ("PA-MPJPE (mm)", "root-relative MPJPE (mm)", "hands without an estimate (%)")
        for axes, title in zip(panels, titles, strict=True):
            axes.set(xlabel=label, ylabel=title)
            axes.set_ylim(bottom=0)
            axes.grid(alpha=0.3)
    rows[0, 0].legend(fontsize=7)
    rows[0, 2].legend(fontsize=8)
    save_figure(plot, path)


def _split(value: Figure) -> str:
    if np.isnan(value.all):
        return "-"
    return f"{cell(value.all, 1)} ({cell(value.visible, 1)} / {cell(value.hidden, 1)})"
