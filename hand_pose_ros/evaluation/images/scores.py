"""Computes comparable figures of estimates on hand images and of predictions on labelled photos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import view_keypoints
from hand_pose_ros.common import named_tensors
from hand_pose_ros.datasets.labelled_hand import Observation
from hand_pose_ros.evaluation import metrics
from hand_pose_ros.evaluation.images.estimates import Estimates
from hand_pose_ros.evaluation.methods import Prediction
from hand_pose_ros.evaluation.scores import score
from hand_pose_ros.hand_images.augmentation.augment import CROP_MARGIN, CROP_SIZE_PX
from hand_pose_ros.hand_images.shards import HandImages

CROP_PX: Final = CROP_SIZE_PX / (2 * CROP_MARGIN)
"""Pixels of a 128 px crop per half extent of the labelled hand."""


class JointErrors(NamedTuple):
    """Errors (n, 21) of n hands; NaN for a joint without a label or an estimate.

    aligned_mm: after the best similarity transform. relative_mm: after wrists are superimposed, NaN for the wrist.
    projected_px: of the estimated hand, points_px: of the image points that placed it; pixels of a 128 px crop.
    """

    aligned_mm: np.ndarray
    relative_mm: np.ndarray
    projected_px: np.ndarray
    points_px: np.ndarray

    def rows(self, index: np.ndarray) -> JointErrors:
        """Return some of the hands."""
        return named_tensors.rows(self, index)


class Figure(NamedTuple):
    """Means over hands of a hand's mean over all, over visible and over hidden joints."""

    all: float
    visible: float
    hidden: float


def joint_errors(estimates: Estimates, images: HandImages) -> JointErrors:
    """Compute the errors in the stored view."""
    truth, points = images.joints.astype(np.float64), images.points.astype(np.float64)
    relative = metrics.joint_errors(estimates.joints, truth)
    relative[:, hand.WRIST] = np.nan
    return JointErrors(
        hand.MEAN_ANCHOR_LENGTH_MM * metrics.pa_joint_errors(estimates.joints, truth),
        hand.MEAN_ANCHOR_LENGTH_MM * relative,
        CROP_PX * metrics.joint_errors(estimates.projected, points),
        CROP_PX * metrics.joint_errors(estimates.points, points),
    )


def figure(errors: np.ndarray, visible: np.ndarray) -> Figure:
    """Average errors (n, 21); hands without an error do not count."""
    parts = (np.ones_like(visible), visible, ~visible)
    return Figure(*(mean(hand_means(np.where(part, errors, np.nan))) for part in parts))


def hand_means(errors: np.ndarray) -> np.ndarray:
    """Return the means (n,) of errors (n, 21); NaN for hands without any."""
    counts = np.isfinite(errors).sum(-1)
    return np.nansum(errors, axis=-1) / np.where(counts > 0, counts, np.nan)


def mean(values: np.ndarray) -> float:
    """Average the known values; NaN if none is known."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def median(values: np.ndarray) -> float:
    """Return the median of the known values; NaN if none is known."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def photo_figures(prediction: Prediction, observations: Sequence[Observation]) -> dict[str, float]:
    """Return the figures of :func:`~hand_pose_ros.evaluation.scores.score` and 'EPE px of 128'.

    A method that does not place the hand (a detector) gets the errors of its landmarks.
    """
    figures = score(prediction, observations)
    distances = []
    for joints, one in zip(prediction.joints_m, observations, strict=True):
        shown = one.detection.landmarks_px
        if prediction.is_placed:
            shown = one.camera.project(torch.from_numpy(joints)).numpy()
        assert shown is not None, "the detector must find landmarks"
        distances.append(crop_distances(one, shown))
    figures["EPE px of 128"] = CROP_PX * mean(hand_means(np.stack(distances)))
    return figures


def crop_distances(observation: Observation, points_px: np.ndarray) -> np.ndarray:
    """Return the distances (21,) of image points (21, 2) from the labels, half extents of the labels' view."""
    labels, found = (
        observation.camera.rays(torch.from_numpy(np.asarray(points, np.float64)))
        for points in (observation.points_px, points_px)
    )
    view = view_keypoints(labels[None])
    turned = found @ view.rotation[0].T
    in_view = turned[:, :2] / turned[:, 2:] / view.half_extent[0]
    return (in_view - view.points[0]).norm(dim=-1).numpy()
