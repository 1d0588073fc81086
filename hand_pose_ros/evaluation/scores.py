"""Scores a method on a set of hands: a row of figures, and its curve of correct keypoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.datasets.labelled_hand import Observation
from hand_pose_ros.evaluation import metrics
from hand_pose_ros.evaluation.methods import Prediction
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.inverse import fit_hand

DECIMALS: Final = {
    "PA-MPJPE mm": 1, "root-relative mm": 1, "size given mm": 1, "absolute mm": 1,
    "absolute, median mm": 1, "absolute, size given mm": 1, "absolute, length given mm": 1,
    "root mm": 1, "root depth %": 1, "AUC 20-50 mm": 3, "EPE px": 1, "outside limits %": 1, "failed": 0,
}  # fmt: skip
"""The figures of a row and their number of decimals."""
THRESHOLDS_MM: Final = np.arange(0.0, 101.0, 2.0)
LIMIT_TOLERANCE_M: Final = 2e-3
_SAME_HAND_M: Final = 1e-5
_FIT_CHUNK: Final = 500


def score(prediction: Prediction, observations: Sequence[Observation]) -> dict[str, float]:
    """Return means over hands; a hand without an estimate counts as failed and enters no mean.

    Lengths in millimetres. PA and absolute figures are means over the 21 joints, root-relative ones over the 20
    joints other than the wrist. *size given*: root-relative, after the method's hand is given the true anchor
    length in place of the one it took. *absolute, size given*: likewise, in the camera frame: a hand twice as
    large is twice as far away. *absolute, length given*: likewise, with the length wrist -> tip of the middle
    finger, along those of its bones that have labels. Both lengths are the person's, medians of all hands of a
    subject, since labels of single images are noisy. *absolute, median*: over hands. *root depth*: mean absolute
    error relative to the true depth. *EPE*: between projected and labelled image points. *AUC*: of root-relative
    joints within 20 to 50 mm.
    """
    joints, labels = prediction.joints_m, _labels(observations)
    points = np.stack([observation.points_px for observation in observations])
    true_lengths = person_lengths(bone_lengths(labels), [one.subject for one in observations])
    ratio = (true_lengths[:, hand.ANCHOR_BONE] / prediction.size_m)[:, None, None]
    of_length = middle_finger_ratio(bone_lengths(joints), true_lengths)[:, None, None]
    in_camera = joints if prediction.is_placed else np.full_like(joints, np.nan)
    cameras = [observation.camera for observation in observations]
    projected = [
        camera.project(torch.from_numpy(one)) for camera, one in zip(cameras, in_camera, strict=True)
    ]
    return {
        "PA-MPJPE mm": 1e3 * mean(metrics.pa_mpjpe(joints, labels)),
        "root-relative mm": 1e3 * mean(metrics.root_relative_mpjpe(joints, labels)),
        "size given mm": 1e3 * mean(metrics.root_relative_mpjpe(ratio * joints, labels)),
        "absolute mm": 1e3 * mean(metrics.mpjpe(in_camera, labels)),
        "absolute, median mm": 1e3 * median(metrics.mpjpe(in_camera, labels)),
        "absolute, size given mm": 1e3 * mean(metrics.mpjpe(ratio * in_camera, labels)),
        "absolute, length given mm": 1e3 * mean(metrics.mpjpe(of_length * in_camera, labels)),
        "root mm": 1e3 * mean(metrics.root_error(in_camera, labels)),
        "root depth %": 1e2 * mean(np.abs(metrics.relative_root_depth_error(in_camera, labels))),
        "AUC 20-50 mm": metrics.pck_auc(root_relative_errors(joints, labels), 0.02, 0.05),
        "EPE px": mean(metrics.mpjpe(torch.stack(projected).numpy(), points)),
        "outside limits %": 1e2
        * mean(outside_limits(prediction, [observation.detection.side for observation in observations])),
        "failed": float(np.isnan(joints).any((1, 2)).sum()),
    }


def bone_lengths(joints: np.ndarray) -> np.ndarray:
    """Return the lengths (..., 20) of the bones of joints (..., 21, 3); NaN for a bone with a missing end."""
    parents, children = (list(ends) for ends in zip(*hand.BONES, strict=True))
    return np.linalg.norm(joints[..., children, :] - joints[..., parents, :], axis=-1)


def person_lengths(lengths: np.ndarray, subjects: Sequence[str]) -> np.ndarray:
    """Return bone lengths (n, 20) with the median over the hands of each subject; NaN where no hand has the bone.

    Args:
        lengths: (n, 20), NaN where unlabelled. subjects: n names; a hand without one keeps its own lengths.
    """
    result, names = lengths.copy(), np.array(subjects)
    for name in set(subjects) - {""}:
        of_person = lengths[names == name]
        labelled = np.isfinite(of_person).any(0)
        median = np.full(lengths.shape[1], np.nan)
        median[labelled] = np.nanmedian(of_person[:, labelled], axis=0)
        result[names == name] = median
    return result


def middle_finger_ratio(lengths: np.ndarray, true_lengths: np.ndarray) -> np.ndarray:
    """Return true over predicted length (n,) of wrist -> tip of the middle finger, of bone lengths (n, 20).

    Unlabelled bones do not count; NaN without a labelled one.
    """
    chain, true_chain = lengths[:, hand.MIDDLE_FINGER], true_lengths[:, hand.MIDDLE_FINGER]
    labelled = np.isfinite(true_chain)
    predicted = np.where(labelled, chain, 0.0).sum(1)
    true = np.where(labelled, true_chain, 0.0).sum(1)
    return true / np.where(labelled.any(1), predicted, np.nan)


def pck(prediction: Prediction, observations: Sequence[Observation]) -> np.ndarray:
    """Return the share of root-relative joints within each of ``THRESHOLDS_MM``; missing joints are outside."""
    errors = root_relative_errors(prediction.joints_m, _labels(observations))
    errors = np.sort(errors[~np.isnan(errors)])
    return np.searchsorted(errors, THRESHOLDS_MM / 1e3, side="right") / max(len(errors), 1)


def root_relative_errors(joints: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return root-relative errors (n, 20); infinite for missing joints, NaN for unlabelled ones."""
    errors = metrics.joint_errors(*(one - one[:, :1] for one in (joints, labels)))[:, 1:]
    return np.where(np.isnan(errors) & ~np.isnan(labels[:, 1:]).any(-1), np.inf, errors)


def outside_limits(prediction: Prediction, sides: list[str]) -> np.ndarray:
    """Return (n,) 1 for hands outside of the anatomical limits, else 0; NaN for hands that failed.

    If a method gives angles and proportions, these must be within their limits, and must reproduce its joints
    within 10 micrometres up to a rigid motion. Otherwise the inverse kinematics must find a hand within the limits
    whose joints are, root mean square, within 2 mm of the given ones.
    """
    outside = np.full(len(prediction.joints_m), np.nan)
    known = np.isfinite(prediction.joints_m).all((1, 2))
    has_angles = known & np.isfinite(prediction.angles_rad).all(1)
    if has_angles.any():
        one = prediction.select(has_angles)
        outside[has_angles] = metrics.limit_violations(one.angles_rad, one.proportions) | ~_is_its_own_hand(
            one, np.array(sides)[has_angles]
        )
    for side in hand.SIDES:
        rows = np.flatnonzero(known & ~has_angles & (np.array(sides) == side))
        for start in range(0, len(rows), _FIT_CHUNK):
            chunk = rows[start : start + _FIT_CHUNK]
            fit = fit_hand(torch.from_numpy(prediction.joints_m[chunk]), side=side)
            outside[chunk] = (fit.residual_m.square().mean(-1).sqrt() > LIMIT_TOLERANCE_M).numpy()
    return outside


def _is_its_own_hand(prediction: Prediction, sides: np.ndarray) -> np.ndarray:
    """Return whether (n,) angles, proportions and size reproduce the joints."""
    same = np.zeros(len(sides), bool)
    for side in hand.SIDES:
        rows = sides == side
        posed = forward_kinematics(
            torch.from_numpy(prediction.angles_rad[rows]),
            torch.from_numpy(prediction.proportions[rows]),
            anchor_length=torch.from_numpy(prediction.size_m[rows]),
            side=side,
        ).joints.numpy()
        distances = [
            np.linalg.norm(joints[:, :, None] - joints[:, None], axis=-1)
            for joints in (posed, prediction.joints_m[rows])
        ]
        same[rows] = np.abs(distances[0] - distances[1]).max((1, 2)) < _SAME_HAND_M
    return same


def _labels(observations: Sequence[Observation]) -> np.ndarray:
    return np.stack([observation.joints_m for observation in observations])


def median(values: np.ndarray) -> float:
    """Return the median of those that are known; NaN if none is."""
    return float(np.nanmedian(values)) if not np.isnan(values).all() else float("nan")


def mean(values: np.ndarray) -> float:
    """Return the mean of those that are known; NaN if none is."""
    return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")
