"""Runs a detector on labelled photos once, so that every method gets the same detections."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from hand_pose_ros.datasets.labelled_hand import LabelledHand, Observation
from hand_pose_ros.datasets.photo_folder import LabelledPhoto
from hand_pose_ros.detection.detector import HandDetector
from hand_pose_ros.evaluation import metrics
from hand_pose_ros.pose import Detection

_MIN_LABELLED = 15


def scorable(photos: Sequence[LabelledPhoto]) -> list[LabelledPhoto]:
    """Select the photos with a camera, a labelled wrist and at least 15 labelled joints."""
    return [photo for photo in photos if photo.camera is not None and _is_labelled(photo.joints_m)]


def detect_hands(photos: Sequence[LabelledPhoto], detector: HandDetector) -> list[Observation]:
    """Detect the labelled hand of each photo; the detector is reset before each.

    Photos without a detection of the right side near the labels are left out.
    """
    found = []
    for photo in tqdm(photos, unit="photo", disable=None):
        detector.reset()
        detection = best_match(detector.detect(photo.image()), photo)
        if detection is not None:
            assert photo.camera is not None, "the photos must be scorable"
            labels = photo.joints_m, photo.points_px
            found.append(Observation(photo.image, photo.camera, detection, *labels, subject=photo.subject))
    return found


def _is_labelled(joints: np.ndarray) -> bool:
    labelled = ~np.isnan(joints).any(-1)
    return bool(labelled[0] and labelled.sum() >= _MIN_LABELLED)


def best_match(detections: Sequence[Detection], photo: LabelledPhoto | LabelledHand) -> Detection | None:
    """Return the detection of the same side that is nearest to the labels, if it lies on the labelled hand."""
    candidates = [
        (one, one.landmarks_px)
        for one in detections
        if one.side == photo.side and one.landmarks_px is not None
    ]
    if not candidates:
        return None
    distances = [np.nanmean(metrics.joint_errors(points, photo.points_px)) for _, points in candidates]
    extent = np.nanmax(np.nanmax(photo.points_px, 0) - np.nanmin(photo.points_px, 0))
    nearest = int(np.argmin(distances))
    return candidates[nearest][0] if distances[nearest] < extent / 2 else None
