"""Compares methods on sets of hands; every method gets the same detections of the same hands."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.datasets.labelled_hand import Observation
from hand_pose_ros.datasets.photo_folder import LabelledPhoto
from hand_pose_ros.detection.detector import HandDetector
from hand_pose_ros.evaluation.accuracy.photo_detections import detect_hands, scorable
from hand_pose_ros.evaluation.methods import Method, Prediction
from hand_pose_ros.evaluation.scores import pck, score

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HandSet:
    """A set of hands on which methods are compared.

    observations: hands on which every method is scored. total: number of hands, detected or not.
    parts: name -> ((n,) bool, total): subsets that are scored separately as well.
    has_detector_3d: whether the detections hold a real detector's own 3D, rather than a simulated one's.
    measures_uncertainty: whether stated uncertainties are compared with the errors.
    """

    name: str
    observations: list[Observation]
    total: int
    parts: dict[str, tuple[np.ndarray, int]] = field(default_factory=dict)
    has_detector_3d: bool = True
    measures_uncertainty: bool = False


@dataclass(frozen=True)
class Comparison:
    """Scores of the methods on one set.

    total: number of hands. found: number of hands detected with the correct side; only these are scored.
    rows: method -> figure -> value, see :func:`~hand_pose_ros.evaluation.scores.score`. pck: method -> curve.
    """

    name: str
    total: int
    found: int
    rows: dict[str, dict[str, float]]
    pck: dict[str, list[float]]

    @property
    def title(self) -> str:
        """Title of a table or a plot."""
        return f"{self.name}: {self.found} of {self.total} hands found"


def photo_set(name: str, photos: Sequence[LabelledPhoto], detector: HandDetector) -> HandSet:
    """Detect hands in the scorable photos; if only some show all joints with labels, these become a part."""
    photos = scorable(photos)
    observations = detect_hands(photos, detector)
    complete = np.array(
        [
            _is_complete(observation.camera, observation.joints_m, observation.points_px)
            for observation in observations
        ],
        bool,
    )
    total = sum(
        photo.camera is not None and _is_complete(photo.camera, photo.joints_m, photo.points_px)
        for photo in photos
    )
    parts = {f"{name}, all joints labelled and inside": (complete, total)} if 0 < total < len(photos) else {}
    return HandSet(name, observations, len(photos), parts, measures_uncertainty=True)


def compare(hands: HandSet, methods: Mapping[str, Method]) -> tuple[list[Comparison], dict[str, Prediction]]:
    """Run every method on the set; returns comparisons of the set and its parts, and the predictions."""
    predictions = {}
    if hands.observations:
        for name, method in methods.items():
            _log.info("%s: %s", hands.name, name)
            predictions[name] = method(hands.observations)
    everything = np.ones(len(hands.observations), bool)
    parts = {hands.name: (everything, hands.total), **hands.parts}
    comparisons = [_scored(name, total, hands, rows, predictions) for name, (rows, total) in parts.items()]
    return comparisons, predictions


def _scored(
    name: str, total: int, hands: HandSet, rows: np.ndarray, predictions: dict[str, Prediction]
) -> Comparison:
    observations = [one for one, taken in zip(hands.observations, rows, strict=True) if taken]
    if not observations:
        return Comparison(name, total, 0, {}, {})
    table, curves = {}, {}
    for method, prediction in predictions.items():
        table[method] = score(prediction.select(rows), observations)
        curves[method] = pck(prediction.select(rows), observations).round(4).tolist()
    return Comparison(name, total, len(observations), table, curves)


def _is_complete(camera: CameraModel, joints_m: np.ndarray, points_px: np.ndarray) -> bool:
    inside = (points_px >= -0.5) & (points_px <= (camera.width - 0.5, camera.height - 0.5))
    return bool(np.isfinite(joints_m).all() and inside.all())
