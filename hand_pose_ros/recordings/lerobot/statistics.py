"""Statistics of features, in the form of meta/stats.json; unknown values (NaN) do not count."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

QUANTILES: Final = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
_LEVELS: Final = 256
_LEAST_SAMPLES: Final = 100
_MOST_SAMPLES: Final = 10_000
_SAMPLE_POWER: Final = 0.75
_LARGE_PX: Final = 300
_SMALL_PX: Final = 150

Statistics = dict[str, np.ndarray]
"""min, max, mean, std, count and quantiles: arrays of the shape of a feature; of images (3, 1, 1)."""


def value_statistics(values: np.ndarray) -> Statistics:
    """Statistics of the values (n,) or (n, k) of n frames: arrays (1,) or (k,), float64.

    An element that is never known has NaN. ``count`` is (1,): the number of frames.
    """
    rows = values.astype(np.float64).reshape(-1, values.shape[-1] if values.ndim > 1 else 1)
    known = np.isfinite(rows).any(axis=0)
    found = {name: np.full(rows.shape[1], np.nan) for name in ("min", "max", "mean", "std", *QUANTILES)}
    if known.any():
        taken = rows[:, known]
        found["min"][known] = np.nanmin(taken, axis=0)
        found["max"][known] = np.nanmax(taken, axis=0)
        found["mean"][known] = np.nanmean(taken, axis=0)
        found["std"][known] = np.nanstd(taken, axis=0)
        for name, share in QUANTILES.items():
            found[name][known] = np.nanquantile(taken, share, axis=0)
    return {**found, "count": np.array([len(values)])}


class ImageStatistics:
    """Statistics of images (H, W, 3) uint8 RGB, per channel, in [0, 1], from their histograms.

    As in LeRobot, some images of an episode are taken, every so many pixels.
    """

    def __init__(self) -> None:
        self._histogram = np.zeros((3, _LEVELS), np.int64)
        self._images = 0

    def add(self, image: np.ndarray) -> None:
        """Count an image."""
        height, width = image.shape[:2]
        step = 1 if max(width, height) < _LARGE_PX else max(1, max(width, height) // _SMALL_PX)
        small = image[::step, ::step]
        for channel in range(3):
            self._histogram[channel] += np.bincount(small[..., channel].ravel(), minlength=_LEVELS)
        self._images += 1

    def merge(self, other: ImageStatistics) -> None:
        """Count the images of another, too."""
        self._histogram += other._histogram
        self._images += other._images

    def statistics(self) -> Statistics:
        """min, max, mean, std and quantiles, each (3, 1, 1) float64; count (1,): the number of images."""
        levels = np.arange(_LEVELS) / (_LEVELS - 1)
        total = self._histogram.sum(axis=1)
        mean = self._histogram @ levels / total
        variance = self._histogram @ levels**2 / total - mean**2
        cumulated = self._histogram.cumsum(axis=1)
        found = {
            "min": levels[np.argmax(self._histogram > 0, axis=1)],
            "max": levels[_LEVELS - 1 - np.argmax(self._histogram[:, ::-1] > 0, axis=1)],
            "mean": mean,
            "std": np.sqrt(np.maximum(variance, 0)),
        }
        for name, share in QUANTILES.items():
            found[name] = levels[np.argmax(cumulated >= share * total[:, None], axis=1)]
        return {
            **{key: value.reshape(3, 1, 1) for key, value in found.items()},
            "count": np.array([self._images]),
        }


def sampled_frames(count: int) -> set[int]:
    """The frames of an episode of ``count`` whose images are taken for the statistics: LeRobot's choice."""
    samples = max(min(_LEAST_SAMPLES, count), min(int(count**_SAMPLE_POWER), _MOST_SAMPLES))
    return set(np.round(np.linspace(0, count - 1, samples)).astype(int).tolist())


def known(statistics: Statistics) -> bool:
    """Whether every element of the feature was known at least once."""
    return all(np.isfinite(values).all() for values in statistics.values())


def to_json(statistics: Statistics) -> dict[str, Any]:
    """The entry of meta/stats.json."""
    return {name: values.tolist() for name, values in statistics.items()}
