"""The accuracy of every estimator and condition on labelled photos, in one table for each set.

    python -m benchmarks.estimator_accuracy --photos FOLDER ... --docs docs/results/estimators.md

All get the same detections of the same hands, each photo alone: nothing is smoothed over time. No size is given.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from hand_pose_ros.datasets.photo_folder import read_samples
from hand_pose_ros.estimator.last_fit.smoother import LastFit
from hand_pose_ros.evaluation.accuracy.comparison import Comparison, HandSet, compare, photo_set
from hand_pose_ros.evaluation.methods import Method, Prediction, detector_with_pnp, estimator_method
from hand_pose_ros.evaluation.reliability import RANK_CORRELATION, absolute_errors, coverage
from hand_pose_ros.evaluation.report import cell, markdown_table, replace_between_markers
from hand_pose_ros.factory import ESTIMATORS
from hand_pose_ros.hand_images.detections import open_mediapipe


@dataclass(frozen=True)
class Variant:
    """An estimator with some of its options; ``last_fit`` says whether the last fit follows."""

    name: str
    estimator: str = "diffusion"
    options: Mapping[str, Any] = field(default_factory=dict)
    last_fit: bool = False


_DETECTOR: Final = {"condition": "keypoints", "landmarks": "detector"}
VARIANTS: Final = (
    Variant("diffusion, MediaPipe's points and depths", options=_DETECTOR | {"image_depths": False}),
    Variant("diffusion, MediaPipe's points", options=_DETECTOR),
    Variant("diffusion, MediaPipe's points, last fit", options=_DETECTOR, last_fit=True),
    Variant("diffusion, keypoints", options={"condition": "keypoints"}),
    Variant(
        "**diffusion, keypoints, last fit** (default)", options={"condition": "keypoints"}, last_fit=True
    ),
    Variant("diffusion, image, mean", options={"condition": "image", "selection": False}),
    Variant("diffusion, image, selected", options={"condition": "image"}),
    Variant("diffusion, both, mean", options={"condition": "both", "selection": False}),
    Variant("diffusion, both, selected", options={"condition": "both"}),
    Variant("diffusion, both, selected, last fit", options={"condition": "both"}, last_fit=True),
    Variant("heatmap", "heatmap"),
    Variant("mesh_diffusion", "mesh_diffusion"),
    Variant("ik", "ik"),
)
REFERENCE: Final = "MediaPipe 3D + SQPnP"
_FIGURES: Final = {
    "PA-MPJPE mm": 1, "root-relative mm": 1, "absolute mm": 1, "absolute, median mm": 1,
    "absolute, length given mm": 1, "EPE px": 1, "failed": 0,
}  # fmt: skip


def method(variant: Variant) -> Method:
    """Return the method that estimates each hand alone by a variant."""
    estimator = ESTIMATORS[variant.estimator].from_flat(dict(variant.options)).create(None, "cpu")
    return estimator_method(estimator, [LastFit()] if variant.last_fit else [])


def table(
    comparison: Comparison, rows: np.ndarray, hands: HandSet, predictions: Mapping[str, Prediction]
) -> str:
    """Format the scores on the hands ``rows`` (n,) of a set, and how well the absolute sigma covers the errors."""
    observations = [one for one, taken in zip(hands.observations, rows, strict=True) if taken]
    columns = [*_FIGURES, "within 1 sigma %", "within 2 sigma %", RANK_CORRELATION]
    cells = []
    for name, figures in comparison.rows.items():
        prediction = predictions[name].select(rows)
        stated = np.isfinite(prediction.covariance_m2).any()
        told = coverage(absolute_errors(prediction, observations)) if stated else {}
        shares = [100 * told.get(f"within {count} sigma", np.nan) for count in (1, 2)]
        cells.append(
            [cell(figures[key], decimals) for key, decimals in _FIGURES.items()]
            + [cell(one, 0) for one in shares]
            + [cell(told.get(RANK_CORRELATION, np.nan), 2)]
        )
    return f"**{comparison.title}**\n\n" + markdown_table(["method", *columns], list(comparison.rows), cells)


def tables(folders: Sequence[Path], every: int, variants: Sequence[Variant]) -> str:
    """Measure on labelled photos and return the tables."""
    detector = open_mediapipe()
    methods = {REFERENCE: detector_with_pnp} | {one.name: method(one) for one in variants}
    texts = []
    for folder in folders:
        hands = photo_set(folder.name, read_samples(folder)[::every], detector)
        comparisons, predictions = compare(hands, methods)
        chosen = [np.ones(len(hands.observations), bool), *(rows for rows, _ in hands.parts.values())]
        for comparison, rows in zip(comparisons, chosen, strict=True):
            texts.append(table(comparison, rows, hands, predictions))
            sys.stdout.write(texts[-1] + "\n\n")
            sys.stdout.flush()
    detector.close()
    return "\n\n".join(texts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables, and write them into a document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--photos", type=Path, nargs="+", required=True, help="folders with a samples.json")
    parser.add_argument("--every", type=int, default=1, help="take every n-th photo")
    parser.add_argument("--docs", type=Path, help="document whose tables are replaced")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    text = tables(options.photos, options.every, VARIANTS)
    if options.docs is not None:
        replace_between_markers(options.docs, text, "benchmarks.estimator_accuracy")


if __name__ == "__main__":
    main()
