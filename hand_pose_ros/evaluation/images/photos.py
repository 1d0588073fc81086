"""Measures what images add on photos with 3D labels; all methods get the same detections."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.datasets.labelled_hand import Observation
from hand_pose_ros.datasets.photo_folder import LabelledPhoto, read_samples
from hand_pose_ros.detection.boxes import box_around
from hand_pose_ros.detection.detector import HandDetector
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimator
from hand_pose_ros.evaluation.accuracy.comparison import Comparison, compare, photo_set
from hand_pose_ros.evaluation.accuracy.photo_detections import scorable
from hand_pose_ros.evaluation.images.methods import (
    BOTH,
    DETECTOR,
    IMAGE,
    KEYPOINTS,
    SHIPPED,
    Networks,
)
from hand_pose_ros.evaluation.images.report import photo_table
from hand_pose_ros.evaluation.images.scores import photo_figures
from hand_pose_ros.evaluation.methods import Method, detector_3d, estimator_method
from hand_pose_ros.hand_images.augmentation.view_jitter import ViewJitterConfig, random_view_change
from hand_pose_ros.pose import Detection


def photo_methods(networks: Networks) -> dict[str, Method]:
    """Return the methods to compare; image only uses the detector's landmarks only to place its crop."""
    methods = {
        name: _method(networks, condition)
        for name, condition in ((IMAGE, "image"), (KEYPOINTS, "keypoints"), (BOTH, "both"))
    }
    if networks.keypoints is not None:
        spread = float(networks.keypoints.spread_scale)
        methods[SHIPPED] = estimator_method(DiffusionEstimator(networks.keypoints, spread, networks.config))
    return methods | {DETECTOR: detector_3d}


def photo_tables(
    folders: Sequence[Path], networks: Networks, detector: HandDetector, every: int = 1
) -> Iterator[str]:
    """Yield tables of each folder: all methods on detected hands, and image only on all hands."""
    methods = photo_methods(networks)
    for folder in folders:
        photos = read_samples(folder)[::every]
        hands = photo_set(folder.name, photos, detector)
        comparisons, predictions = compare(hands, methods)
        parts = [np.ones(len(hands.observations), bool), *(rows for rows, _ in hands.parts.values())]
        for comparison, rows in zip(comparisons, parts, strict=True):
            seen = [one for one, taken in zip(hands.observations, rows, strict=True) if taken]
            figures = {name: photo_figures(predictions[name].select(rows), seen) for name in comparison.rows}
            yield photo_table(_title(comparison), figures)
        observations = jittered_observations(scorable(photos), Seed.IMAGE_VIEWS)
        if observations:
            figures = {IMAGE: photo_figures(methods[IMAGE](observations), observations)}
            yield photo_table(f"{folder.name}: all {len(observations)}, without the detector", figures)


def jittered_observations(photos: Sequence[LabelledPhoto], seed: int) -> list[Observation]:
    """Return labelled hands, whose detections are labels that are rolled, shifted and scaled as views in training.

    They only place the crop, as the last pose of a tracked hand does.
    """
    generator = np.random.default_rng(seed)
    jitter = random_view_change(np.ones(len(photos)), ViewJitterConfig(), generator)
    observations = []
    for photo, roll, shift, scale in zip(photos, jitter.roll_rad, jitter.shift, jitter.scale, strict=True):
        assert photo.camera is not None, "the photos must be scorable"
        points = photo.points_px
        low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
        middle, half_extent = (low + high) / 2, (high - low).max() / 2
        turn = np.array(((math.cos(roll), math.sin(roll)), (-math.sin(roll), math.cos(roll))))
        moved = scale * (points - middle) @ turn + middle + shift * half_extent
        seen = Detection(photo.side, 1.0, box_around(moved, 0.0), moved)
        observations.append(
            Observation(photo.image, photo.camera, seen, photo.joints_m, points, subject=photo.subject)
        )
    return observations


def _method(networks: Networks, condition: str) -> Method:
    config = replace(networks.config, condition=condition)
    return estimator_method(DiffusionEstimator(networks.image, float(networks.image.spread_scale), config))


def _title(comparison: Comparison) -> str:
    return f"{comparison.name}: the {comparison.found} of {comparison.total} hands that MediaPipe finds"
