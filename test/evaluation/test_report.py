"""The plots of the evaluations: every method and set is named, and the panels fit a page."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from hand_pose_ros.evaluation import report
from hand_pose_ros.evaluation.reliability import PROBABILITIES
from hand_pose_ros.evaluation.scores import THRESHOLDS_MM

METHODS: tuple[str, ...] = (
    "baseline",
    "D",
    "D*",
    "inverse kinematics",
    "MediaPipe 3D",
    "MediaPipe 3D + SQPnP",
)


@pytest.fixture
def saved(monkeypatch) -> list[Figure]:
    figures: list[Figure] = []
    save = Figure.savefig

    def keep(figure: Figure, *args, **options) -> None:
        figures.append(figure)
        save(figure, *args, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


def legend(figure: Figure) -> list[str]:
    (one,) = figure.legends
    return [text.get_text() for text in one.get_texts()]


@pytest.mark.parametrize(("sets", "rows", "columns"), [(1, 1, 1), (4, 1, 4), (5, 2, 3), (8, 2, 4)])
def test_panels_fit_a_page_and_one_legend_names_all_methods(sets, rows, columns, saved, tmp_path):
    shares: list[float] = (THRESHOLDS_MM / THRESHOLDS_MM[-1]).tolist()
    curves = {f"set {i}": dict.fromkeys(METHODS[: 1 + i], shares) for i in range(sets)}
    report.plot_pck(curves, tmp_path / "accuracy.png")
    (figure,) = saved
    assert [axes.get_title() for axes in figure.axes] == list(curves)
    grid = figure.axes[0].get_gridspec()
    assert (grid.nrows, grid.ncols) == (rows, columns)
    assert legend(figure) == list(METHODS[:sets])
    assert cv2.imread(str(tmp_path / "accuracy.png")).shape[1] <= 1200


def test_reliability_has_room_for_more_sets_than_colours(saved, tmp_path):
    names = [f"set {i}, {kind}" for i in range(7) for kind in ("shape", "absolute")]
    sigmas = {name: {"sigma visible mm": 9.0, "sigma hidden mm": np.nan} for name in names}
    curves = {name: PROBABILITIES.tolist() for name in names}
    report.plot_reliability(curves, sigmas, tmp_path / "reliability.png")
    (figure,) = saved
    assert legend(figure) == [*names, "as stated"]
    lines, bars = figure.axes
    assert len(lines.get_lines()) == len(names) + 1
    assert len(bars.patches) == len(names), "a joint state without a sigma has no bar"
