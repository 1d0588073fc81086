"""Writes the results of an evaluation: Markdown tables, the tables inside a document, and plots."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hand_pose_ros.evaluation.reliability import PROBABILITIES, RANK_CORRELATION
from hand_pose_ros.evaluation.scores import DECIMALS, THRESHOLDS_MM
from hand_pose_ros.files.atomic_file import write_text_atomically

COLOURS: Final = ("#1f5fd6", "#d62728", "#2ca02c", "#9467bd", "#8c8c8c", "#b5651d")
_WIDTHS: Final = (3.3, 2.1, 1.0)
"""Line widths of successive methods: of curves that lie on each other, all are seen."""
_PANELS_PER_ROW: Final = 4
_SMALL_PANEL_INCHES, _LARGE_PANEL_INCHES = (2.5, 2.5), (4.8, 5.0)
_LEAST_INCHES: Final = (7.0, 3.4)  # room for the legend
_TEXT_POINTS: Final = 9
_TITLE_CHARACTERS: Final = 28
_LEGEND_COLUMNS: Final = 3
_SHAPE, _ABSOLUTE = ", shape", ", absolute"


def accuracy_table(title: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """Format methods (rows) and figures (columns) under a title."""
    table = [[cell(value, DECIMALS[name]) for name, value in row.items()] for row in rows.values()]
    return f"**{title}**\n\n{markdown_table(['method', *DECIMALS], list(rows), table)}"


def coverage_table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """Format coverage in percent, sigma in millimetres and the rank correlation, a row for each set."""
    columns = list(next(iter(rows.values())))
    table = [
        [
            cell(100 * value, 1) if _is_share(name) else cell(value, _decimals(name))
            for name, value in row.items()
        ]
        for row in rows.values()
    ]
    columns = [f"{name} %" if _is_share(name) else name for name in columns]
    return markdown_table(["", *columns], list(rows), table)


def error_source_table(name: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """Format the errors (columns) of a set of hands with parts (rows) replaced by the truth."""
    table = [[cell(value, 1) for value in row.values()] for row in rows.values()]
    columns = ["replaced by the truth", *next(iter(rows.values()))]
    return f"**{name}: where the error is**\n\n{markdown_table(columns, list(rows), table)}"


def _is_share(name: str) -> bool:
    return name.startswith("within")


def _decimals(name: str) -> int:
    return 2 if name == RANK_CORRELATION else 1


def markers(command: str) -> tuple[str, str]:
    """Return the lines of a document between which ``command`` replaces its tables."""
    return f"<!-- {command}: begin -->", f"<!-- {command}: end -->"


def replace_between_markers(path: Path, text: str, command: str = "hand_pose evaluate") -> None:
    """Put ``text`` between the :func:`markers` of a document.

    Raises:
        ValueError: the document is missing or does not have both lines once.
    """
    begin, end = markers(command)
    document = path.read_text(encoding="utf-8") if path.is_file() else ""
    if document.count(begin) != 1 or document.count(end) != 1:
        raise ValueError(f"{path} must hold the lines {begin!r} and {end!r} once each")
    before, rest = document.split(begin)
    _, after = rest.split(end)
    write_text_atomically(path, f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}")


def save_picture(picture: np.ndarray, path: Path) -> None:
    """Write an image (H, W, 3) uint8 BGR, of the format of the file's name; its folder is made if need be.

    Raises:
        ValueError: there is no such format, or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 88]):
        raise ValueError(f"{path} cannot be written as an image")


def plot_pck(curves: Mapping[str, Mapping[str, list[float]]], path: Path) -> None:
    """Plot correct root-relative joints over the threshold: set of hands (a panel each) -> method -> shares.

    One legend above the panels names the methods of all of them.
    """
    rows = math.ceil(len(curves) / _PANELS_PER_ROW)
    columns = math.ceil(len(curves) / rows)
    figure, panels = _panels(rows, columns, _SMALL_PANEL_INCHES)
    methods = list(dict.fromkeys(method for of_set in curves.values() for method in of_set))
    lines: dict[str, Line2D] = {}
    for axes, (name, of_set) in zip(panels, curves.items(), strict=False):
        for method, shares in of_set.items():
            number = methods.index(method)
            colour, width = COLOURS[number % len(COLOURS)], _WIDTHS[number % len(_WIDTHS)]
            (line,) = axes.plot(THRESHOLDS_MM, shares, label=method, color=colour, linewidth=width)
            lines.setdefault(method, line)
        axes.set_title(textwrap.fill(name, _TITLE_CHARACTERS), fontsize=_TEXT_POINTS)
        axes.set(xlim=(0, THRESHOLDS_MM[-1]), ylim=(0, 1))
        axes.tick_params(labelsize=_TEXT_POINTS - 1)
        axes.grid(alpha=0.3)
    for axes in panels[len(curves) :]:
        axes.remove()
    figure.supxlabel("threshold (mm)", fontsize=_TEXT_POINTS)
    figure.supylabel("share of root-relative joints within", fontsize=_TEXT_POINTS)
    figure.legend(
        [lines[method] for method in methods],
        methods,
        loc="outside upper center",
        ncols=_LEGEND_COLUMNS,
        fontsize=_TEXT_POINTS,
    )
    save_figure(figure, path)


def plot_reliability(
    curves: Mapping[str, list[float]], sigmas: Mapping[str, Mapping[str, float]], path: Path
) -> None:
    """Plot observed over stated frequency for each curve, and the stated sigma of each joint state.

    Names are those of sets of hands, with a kind of error behind a comma or without. One legend above the panels
    names all of them; what is of one set has one colour, and absolute errors are dashed and hatched.
    """
    names = list(dict.fromkeys([*curves, *sigmas]))
    sets = list(dict.fromkeys(_set_name(name) for name in names))
    colours = {name: COLOURS[sets.index(_set_name(name)) % len(COLOURS)] for name in names}
    figure, (left, right) = _panels(1, 2, _LARGE_PANEL_INCHES)
    for name, observed in curves.items():
        style = "--" if name.endswith(_ABSOLUTE) else "-"
        left.plot(PROBABILITIES, observed, style, marker="o", markersize=3, color=colours[name], label=name)
    left.plot((0, 1), (0, 1), color="black", linewidth=0.8, linestyle=":", label="as stated")
    left.set(xlabel="stated probability of the central interval", ylabel="how often the truth lies in it")
    left.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    left.grid(alpha=0.3)
    states = [name for name in next(iter(sigmas.values())) if name.startswith("sigma")]
    width = 0.8 / len(sigmas)
    for position, state in enumerate(states):
        known = {name: row[state] for name, row in sigmas.items() if np.isfinite(row[state])}
        for index, (name, sigma_mm) in enumerate(known.items()):
            place = position + (index + 0.5 - len(known) / 2) * width
            hatch = "///" if name.endswith(_ABSOLUTE) else ""
            right.bar(place, sigma_mm, width, color=colours[name], hatch=hatch, edgecolor="white")
    right.set_xticks(
        range(len(states)), [state.removeprefix("sigma ").removesuffix(" mm") for state in states]
    )
    right.set(xlabel="state of the joint", ylabel="median stated sigma (mm)")
    right.grid(alpha=0.3, axis="y")
    right.set_axisbelow(True)
    figure.legend(loc="outside upper center", ncols=_LEGEND_COLUMNS, fontsize=_TEXT_POINTS)
    save_figure(figure, path)


def _set_name(name: str) -> str:
    return name.removesuffix(_ABSOLUTE).removesuffix(_SHAPE)


def _panels(rows: int, columns: int, size_inches: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    width, height = columns * size_inches[0], rows * size_inches[1]
    figure = Figure(
        figsize=(max(width, _LEAST_INCHES[0]), max(height, _LEAST_INCHES[1])), layout="constrained"
    )
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure, and make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def markdown_table(columns: list[str], names: list[str], cells: list[list[str]]) -> str:
    """Format a Markdown table with a header of ``columns`` and a row of ``cells`` for each of ``names``."""
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    lines += [f"| {name} | " + " | ".join(row) + " |" for name, row in zip(names, cells, strict=True)]
    return "\n".join(lines)


def cell(value: float, decimals: int) -> str:
    """Format a number of a table; NaN is a dash."""
    return "-" if math.isnan(value) else f"{value:.{decimals}f}"
