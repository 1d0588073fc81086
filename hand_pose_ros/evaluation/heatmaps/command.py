"""The ``hand_pose evaluate-heatmaps`` command: it measures 2.5D heatmap networks."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.datasets.photo_folder import read_samples
from hand_pose_ros.estimator.heatmap.estimator import HeatmapEstimator, HeatmapEstimatorConfig
from hand_pose_ros.estimator.heatmap.roots import ROOT_FORMS
from hand_pose_ros.evaluation import report
from hand_pose_ros.evaluation.accuracy.comparison import compare, photo_set
from hand_pose_ros.evaluation.heatmaps.maps_picture import maps_picture
from hand_pose_ros.evaluation.heatmaps.measures import FIGURES, POINT_FIGURES, heatmap_errors, pose_figures
from hand_pose_ros.evaluation.heatmaps.runs import Run, Spread, read_runs, spread_of
from hand_pose_ros.evaluation.heatmaps.widths import map_widths, width_figures
from hand_pose_ros.evaluation.images.methods import read_hands
from hand_pose_ros.evaluation.images.sheet import spread_choice
from hand_pose_ros.evaluation.methods import Method, detector_3d, detector_with_pnp, estimator_method
from hand_pose_ros.hand_images.detections import open_mediapipe
from hand_pose_ros.hand_images.shards import HandImages
from hand_pose_ros.networks.runtime.heatmap import TorchHeatmap

COMMAND: Final = "hand_pose evaluate-heatmaps"
_PICTURE_ROWS: Final = 6
_WIDTH_HANDS: Final = 256
_WIDTH_DECIMALS: Final = 1
_STEPS: Final = "steps"

_log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    cv2.setNumThreads(1)
    try:
        text = _evaluate(options)
        if options.docs is not None:
            report.replace_between_markers(options.docs, text, options.marker)
    except (ValueError, ImportError) as error:
        sys.stderr.write(f"{COMMAND}: {error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=COMMAND, description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "networks",
        nargs="+",
        type=Path,
        metavar="NETWORK",
        help="weight files or folders of hand_pose train; NAME_1, NAME_2, ... are averaged as repetitions",
    )
    parser.add_argument("--rendered", type=Path, nargs="*", default=[], help="folders of unseen renders")
    parser.add_argument("--held-back", type=Path, nargs="*", default=[], help="folders of unseen real photos")
    parser.add_argument(
        "--photos", type=Path, nargs="*", default=[], help="labelled photos with a samples.json"
    )
    parser.add_argument("--hand-size-m", type=float, help="size of the hands on the labelled photos")
    parser.add_argument("--every", type=int, default=1, help="take every n-th hand and photo")
    parser.add_argument("--picture", type=Path, help="image file: the maps of the networks side by side")
    parser.add_argument("--docs", type=Path, help="document whose tables are replaced")
    parser.add_argument("--marker", default=COMMAND, help="name of the markers in that document")
    return parser


def _evaluate(options: argparse.Namespace) -> str:
    """Measure, write the requested files, and return the tables."""
    groups = read_runs(options.networks)
    texts = []
    for text in _sections(options, groups):
        sys.stdout.write(text + "\n\n")
        sys.stdout.flush()
        texts.append(text)
    return "\n\n".join(texts)


def _sections(options: argparse.Namespace, groups: Mapping[str, Sequence[Run]]) -> Iterator[str]:
    if options.rendered:
        images = read_hands(options.rendered, options.every)
        yield _table(f"Unseen renders: {images.count} hands", groups, images, tuple(FIGURES))
        yield _width_table(groups, images)
        if options.picture is not None:
            _write_picture(images, groups, options.picture)
    if options.held_back:
        images = read_hands(options.held_back, options.every)
        title = f"Photos of unseen sources: {images.count} hands, against MediaPipe's landmarks"
        yield _table(title, groups, images, POINT_FIGURES)
    if options.photos:
        yield from _photo_tables(options, groups)


def _table(title: str, groups: Mapping[str, Sequence[Run]], images: HandImages, names: Sequence[str]) -> str:
    """Format a row for each group; figures of several runs with their standard deviation."""
    cells = []
    for group, runs in groups.items():
        _log.info("%s: %s", title, group)
        figures = spread_of([pose_figures(heatmap_errors(run.network, images)) for run in runs])
        steps = "-" if not runs[0].steps else f"{np.mean([run.steps for run in runs]):.0f}"
        cells.append([str(len(runs)), steps, *(_cell(figures[name], FIGURES[name]) for name in names)])
    table = report.markdown_table(["network", "runs", _STEPS, *names], list(groups), cells)
    return f"**{title}**\n\n{table}"


def _width_table(groups: Mapping[str, Sequence[Run]], images: HandImages) -> str:
    """Format the widths of the heatmaps of all groups; dashes for those without maps."""
    some = images.rows(np.arange(0, images.count, -(-images.count // _WIDTH_HANDS)))
    cells, names = [], list(width_figures(np.ones(hand.NUM_JOINTS)))
    for runs in groups.values():
        figures = spread_of([width_figures(map_widths(run.network, some)) for run in runs])
        cells.append([_cell(figures[name], _WIDTH_DECIMALS) for name in names])
    table = report.markdown_table(["network", *names], list(groups), cells)
    title = (
        f"Widths of the heatmaps at half of their maximum, px of a 128 px crop: {some.count} unseen renders"
    )
    return f"**{title}**\n\n{table}"


def _cell(value: Spread, decimals: int) -> str:
    text = report.cell(value.mean, decimals)
    return text if np.isnan(value.deviation) else f"{text} ± {value.deviation:.{decimals}f}"


def _photo_tables(options: argparse.Namespace, groups: Mapping[str, Sequence[Run]]) -> Iterator[str]:
    """Compare the heatmap estimator, with each group's first network, with MediaPipe on the same detections.

    The rows of a network differ in the form of the root depth; the first is the default.
    """
    size, default = options.hand_size_m, HeatmapEstimatorConfig()
    methods: dict[str, Method] = {
        name if root == default.root else f"{name}, {root.replace('_', ' ')}": estimator_method(
            HeatmapEstimator(TorchHeatmap(runs[0].network), replace(default, root=root), size)
        )
        for name, runs in groups.items()
        for root in sorted(ROOT_FORMS, key=lambda root: root != default.root)
    }
    methods |= {"MediaPipe 3D": detector_3d, "MediaPipe 3D + SQPnP": detector_with_pnp}
    detector = open_mediapipe()
    try:
        for folder in options.photos:
            hands = photo_set(folder.name, read_samples(folder)[:: options.every], detector)
            comparisons, _ = compare(hands, methods)
            for comparison in comparisons:
                yield report.accuracy_table(comparison.title, comparison.rows)
    finally:
        detector.close()


def _write_picture(images: HandImages, groups: Mapping[str, Sequence[Run]], path: Path) -> None:
    some = images.rows(spread_choice(images, _PICTURE_ROWS, Seed.EXAMPLE_SHEET))
    picture = maps_picture({name: runs[0].network for name, runs in groups.items()}, some)
    report.save_picture(picture, path)
