"""Measures how the errors of estimates rise with motion blur and occlusion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.evaluation.images.degrade import KINDS, STRENGTHS, degraded
from hand_pose_ros.evaluation.images.methods import BOTH, IMAGE, KEYPOINTS, SHIPPED, Networks, estimate_set
from hand_pose_ros.evaluation.images.scores import hand_means, joint_errors, mean
from hand_pose_ros.hand_images.detections import ImageDetections
from hand_pose_ros.hand_images.shards import HandImages

DEGRADED_METHODS: Final = (IMAGE, KEYPOINTS, BOTH, SHIPPED)


class HandErrors(NamedTuple):
    """Errors (S, n) of n hands at S strengths, millimetres; NaN without an estimate.

    aligned: PA-MPJPE. relative: root-relative MPJPE.
    """

    aligned: np.ndarray
    relative: np.ndarray


class Series(NamedTuple):
    """One kind of degradation: found (S, n), whether the detector finds the hand, and the errors of each method.

    If the detector does not find the hand, ``BOTH`` is estimated from the image only.
    """

    found: np.ndarray
    errors: dict[str, HandErrors]


def degradation_series(
    networks: Networks, images: HandImages, detect: Callable[[HandImages, str], ImageDetections]
) -> dict[str, Series]:
    """Measure a series for each of the ``KINDS``.

    Args:
        detect: images and a name for them -> the detector's keypoints on these.
    """
    series = {}
    for kind in KINDS:
        found, rows = [], []
        for strength in STRENGTHS:
            worse = degraded(images, kind, strength, Seed.DEGRADATION)
            detections = detect(worse, "undegraded" if strength == 0 else f"{kind}-{strength}")
            estimates = estimate_set(networks, worse, detections, DEGRADED_METHODS)
            found.append(detections.found)
            rows.append({name: joint_errors(one, worse) for name, one in estimates.items()})
        errors = {
            name: HandErrors(
                np.stack([hand_means(row[name].aligned_mm) for row in rows]),
                np.stack([hand_means(row[name].relative_mm) for row in rows]),
            )
            for name in rows[0]
        }
        series[kind] = Series(np.stack(found), errors)
    return series


def rise(errors: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return the mean rise (S,) of errors (S, n) over the first strength, over hands found at both."""
    return np.array(
        [
            mean(np.where(here & found[0], row - errors[0], np.nan))
            for row, here in zip(errors, found, strict=True)
        ]
    )


def over_found(errors: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return the means (S,) over the hands that the detector finds at each strength."""
    return np.array([mean(np.where(here, row, np.nan)) for row, here in zip(errors, found, strict=True)])
