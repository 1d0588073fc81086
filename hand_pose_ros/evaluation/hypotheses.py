"""Scores of hypotheses: of their mean, of the best, how they cover the truth, and whether they hold both tilts."""

from __future__ import annotations

from typing import Final

import numpy as np

from hand_pose_ros.evaluation import metrics

_TILTED: Final = 0.25
"""Spread of a hand's true depths, in anchor lengths, from which its tilt has a side."""
FIGURES: Final = {
    "mean, PA mm": 1,
    "mean, root-relative mm": 1,
    "best, PA mm": 1,
    "best, root-relative mm": 1,
    "energy score mm": 1,
    "error / spread": 2,
    "tilt of the mean wrong %": 1,
    "of these, one right %": 0,
}
"""The scores, with their decimals in a table."""


def hypothesis_scores(samples: np.ndarray, truth: np.ndarray, size_m: np.ndarray) -> dict[str, float]:
    """Score hypotheses of n hands, relative to the wrist and at the true size, by the names of ``FIGURES``.

    The energy score is the mean distance of the hypotheses from the truth, less half of their mean distance from
    each other; it is least for samples of the true posterior. An error / spread of 1 means that the mean errs as
    much as the hypotheses differ from it. A tilt is wrong if the depths vary against the true ones.

    Args:
        samples: (n, S, 21, 3) in anchor lengths, with S of at least 2. truth: (n, 21, 3), NaN where not labelled.
        size_m: (n,) true anchor lengths.

    Returns:
        Means over the hands. Distances are root mean squares over the joints, but means in *mean* and *best*.
    """
    count, known, size_mm = samples.shape[1], np.isfinite(truth).all(-1), 1e3 * size_m
    mean = samples.mean(1)
    each_truth = np.broadcast_to(truth[:, None], samples.shape)
    off = _distance(samples, each_truth)
    between = _distance(samples[:, :, None], samples[:, None], known[:, None, None])
    energy = off.mean(1) - between.sum((1, 2)) / (2 * count * (count - 1))
    spread = np.square(_distance(samples, mean[:, None], known[:, None])).sum(1) / (count - 1)
    tilted = np.nanstd(np.where(known, truth[..., 2], np.nan), axis=1) > _TILTED
    wrong = tilted & (_depth_agreement(mean[:, None], truth)[:, 0] < 0)
    rescued = (_depth_agreement(samples[wrong], truth[wrong]) > 0).any(1)
    figures = {
        "mean, PA mm": metrics.pa_mpjpe(mean, truth),
        "mean, root-relative mm": metrics.root_relative_mpjpe(mean, truth),
        "best, PA mm": metrics.pa_mpjpe(samples, each_truth).min(1),
        "best, root-relative mm": metrics.root_relative_mpjpe(samples, each_truth).min(1),
        "energy score mm": energy,
    }
    return {name: float((size_mm * value).mean()) for name, value in figures.items()} | {
        "error / spread": float(np.sqrt(np.square(_distance(mean, truth)).mean() / spread.mean())),
        "tilt of the mean wrong %": 100 * float(wrong.sum() / max(tilted.sum(), 1)),
        "of these, one right %": 100 * float(rescued.mean()) if wrong.any() else np.nan,
    }


def _distance(first: np.ndarray, second: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
    """Root mean square (...) over the labelled joints of the distances of joints (..., 21, 3)."""
    squares = np.square(first - second).sum(-1)
    return np.sqrt(np.nanmean(squares if known is None else np.where(known, squares, np.nan), axis=-1))


def _depth_agreement(samples: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the covariance (n, S) of the hypotheses' depths with the true ones."""
    known = np.isfinite(truth).all(-1)[:, None]
    true = np.where(known, truth[:, None, :, 2], np.nan)
    true = true - np.nanmean(true, axis=-1, keepdims=True)
    return np.nanmean(np.where(known, samples[..., 2], np.nan) * true, axis=-1)
