"""Measures how much of an estimator's error each part causes, by replacing that part with the truth.

Parts of the input are replaced before the estimate: the image points, or the depths of the landmarks. Parts of the
output are replaced after it: size, rotation, shape, or the wrist's distance. A hand whose shape, rotation or size
changed is placed again by the detected image points, as the estimator does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.datasets.labelled_hand import Observation
from hand_pose_ros.estimator.placement import place_hands
from hand_pose_ros.evaluation import metrics, scores
from hand_pose_ros.evaluation.methods import Method, crop_rotation
from hand_pose_ros.evaluation.network_input import network_input


def error_sources(observations: Sequence[Observation], method: Method) -> dict[str, dict[str, float]]:
    """Return the errors of a method with parts of its input or output replaced by the truth.

    Args:
        observations: of hands with 3D labels; unlabelled joints keep what was detected or estimated.
        method: an estimator that uses image points and depths of the landmarks, and places hands.

    Returns:
        Replaced part -> figure -> value, millimetres; the first row has nothing replaced.
    """
    truth = np.stack([one.joints_m for one in observations])
    estimate = method(observations).joints_m
    wrist = estimate[:, :1]
    relative, true_relative = estimate - wrist, truth - truth[:, :1]
    turned = _rotated(relative, true_relative)
    size = _size_ratio(relative, true_relative)[:, None, None]
    distance = (truth[:, :1, 2:] / wrist[..., 2:] - 1) * wrist
    joints = {
        "nothing": estimate,
        "image points": method([with_true_points(one) for one in observations]).joints_m,
        "depths of the landmarks": method([with_true_depths(one) for one in observations]).joints_m,
        "image points and depths": method(
            [with_true_depths(with_true_points(one)) for one in observations]
        ).joints_m,
        "size": size * estimate,
        "rotation": placed(turned, observations),
        "rotation and size": placed(size * turned, observations),
        "rotation, size and shape": placed(true_relative, observations),
        "distance of the wrist": estimate + distance,
    }
    return {name: _figures(predicted, truth) for name, predicted in joints.items()}


def with_true_points(observation: Observation) -> Observation:
    """Replace the detected image points of labelled joints by the labels."""
    detection = observation.detection
    assert detection.landmarks_px is not None
    labelled = np.isfinite(observation.points_px).all(1, keepdims=True)
    points = np.where(labelled, observation.points_px, detection.landmarks_px)
    return replace(observation, detection=replace(detection, landmarks_px=points))


def with_true_depths(observation: Observation) -> Observation:
    """Replace the detector's 3D landmarks of labelled joints by the labels, in the axes of the crop.

    Estimators use their depths only. The other landmarks are scaled to the labelled palm.
    """
    detection = observation.detection
    assert detection.landmarks_m is not None
    rotation = crop_rotation(observation.camera, detection)
    true = (observation.joints_m - observation.joints_m[hand.WRIST]) @ rotation.T
    found = detection.landmarks_m - detection.landmarks_m[hand.WRIST]
    scale = _palm_size(true) / _palm_size(found)
    landmarks = np.where(np.isfinite(true), true, found * scale)
    return replace(observation, detection=replace(detection, landmarks_m=landmarks))


def placed(relative: np.ndarray, observations: Sequence[Observation]) -> np.ndarray:
    """Place hands by their detected image points, as the estimator does.

    Args:
        relative: (n, 21, 3) joints relative to the wrist, metres, camera axes; NaN where missing.

    Returns:
        (n, 21, 3) in the camera frame; NaN where the position cannot be solved.
    """
    failed = ~np.isfinite(relative).any((1, 2))
    relative = np.where(failed[:, None, None], 1.0, relative)
    given = network_input(observations)
    rows = given.rows.numpy()
    sides = np.array([observations[row].detection.side for row in rows])
    flip = np.where((sides == "left")[:, None, None], (-1.0, 1.0, 1.0), (1.0, 1.0, 1.0))
    turn = given.view.rotation.double()
    in_view = torch.from_numpy(relative[rows] * flip) @ turn.mT
    size = torch.from_numpy(_palm_size(relative[rows]))
    hands = place_hands(in_view / size[:, None, None], given.view.points, given.view.half_extent, size)
    joints = np.full_like(relative, np.nan)
    joints[rows] = (hands.joints @ turn).numpy() * flip
    joints[failed] = np.nan
    return joints


def _figures(joints: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    absolute = metrics.mpjpe(joints, truth)
    return {
        "PA-MPJPE mm": 1e3 * scores.mean(metrics.pa_mpjpe(joints, truth)),
        "root-relative mm": 1e3 * scores.mean(metrics.root_relative_mpjpe(joints, truth)),
        "absolute mm": 1e3 * scores.mean(absolute),
        "absolute, median mm": 1e3 * scores.median(absolute),
    }


def _rotated(relative: np.ndarray, true_relative: np.ndarray) -> np.ndarray:
    """Rotate hands (n, 21, 3) about their wrists onto the true ones, by least squares over labelled joints."""
    weight = np.isfinite(true_relative).all(-1, keepdims=True)
    target = np.where(weight, true_relative, 0.0)
    source = np.where(weight, np.nan_to_num(relative), 0.0)
    u, _, vt = np.linalg.svd(target.swapaxes(-1, -2) @ source)
    signs = np.ones((len(relative), 1, 3))
    signs[:, 0, 2] = np.sign(np.linalg.det(u @ vt))
    return relative @ ((u * signs) @ vt).swapaxes(-1, -2)


def _size_ratio(relative: np.ndarray, true_relative: np.ndarray) -> np.ndarray:
    """Return the factor (n,) on a hand's size that fits its bones to the labelled ones, by least squares."""
    lengths, true_lengths = scores.bone_lengths(relative), scores.bone_lengths(true_relative)
    labelled = np.isfinite(true_lengths)
    products = np.where(labelled, lengths * np.nan_to_num(true_lengths), 0.0).sum(1)
    return products / np.where(labelled, np.square(lengths), 0.0).sum(1)


def _palm_size(relative: np.ndarray) -> np.ndarray:
    """Return the anchor length (...) at which the median palm bone has its mean proportion."""
    lengths = np.linalg.norm(relative[..., hand.LEVELS[0], :], axis=-1) / hand.PALM_LENGTHS
    return np.nanmedian(lengths, axis=-1)
