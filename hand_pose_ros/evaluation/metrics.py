"""Defines the metrics of 3D and 2D joints and of meshes.

All functions take NumPy arrays, predictions first. Joints are (..., J, 3) metres in the camera frame unless
stated. A joint whose label is NaN does not count; a missing prediction of a labelled joint gives NaN, so that a
failure cannot improve a mean unnoticed. Results keep the input's unit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.integrate import trapezoid
from scipy.spatial import KDTree

from hand_pose_ros import hand
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.pose import HandMesh


def joint_errors(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the Euclidean distance of each joint (..., J); NaN without a label. In 2D this is the EPE."""
    return np.linalg.norm(predicted - truth, axis=-1)


def mpjpe(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean distance over the labelled joints (...): absolute MPJPE if both are in the camera frame."""
    return _mean_over_labelled(joint_errors(predicted, truth), truth)


def root_relative_mpjpe(predicted: np.ndarray, truth: np.ndarray, root: int = hand.WRIST) -> np.ndarray:
    """MPJPE (...) after subtracting the root from each; the root itself, which is then exact, does not count."""
    others = [joint for joint in range(truth.shape[-2]) if joint != root]
    centred = [joints - joints[..., root : root + 1, :] for joints in (predicted, truth)]
    return mpjpe(*(joints[..., others, :] for joints in centred))


def scaled_root_relative_mpjpe(
    predicted: np.ndarray, truth: np.ndarray, root: int = hand.WRIST
) -> np.ndarray:
    """Root-relative MPJPE (...) after giving the prediction the truth's anchor bone length."""
    parent, child = hand.BONES[hand.ANCHOR_BONE]
    lengths = [np.linalg.norm(j[..., child, :] - j[..., parent, :], axis=-1) for j in (truth, predicted)]
    return root_relative_mpjpe(predicted * (lengths[0] / lengths[1])[..., None, None], truth, root)


def pa_mpjpe(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """MPJPE (...) after the similarity transform that fits the prediction best (Procrustes; no reflection)."""
    return _mean_over_labelled(pa_joint_errors(predicted, truth), truth)


def pa_joint_errors(predicted: np.ndarray, truth: np.ndarray, reflection: bool = False) -> np.ndarray:
    """Return the distances (..., J) whose mean is :func:`pa_mpjpe`; NaN without a label.

    ``reflection``: the transform may mirror, as in the evaluation scripts of FreiHAND and HO-3D.
    """
    flat_predicted = predicted.reshape(-1, *predicted.shape[-2:])
    flat_truth = np.broadcast_to(truth, predicted.shape).reshape(flat_predicted.shape)
    errors = [_aligned_errors(p, t, reflection) for p, t in zip(flat_predicted, flat_truth, strict=True)]
    return np.asarray(errors).reshape(predicted.shape[:-1])


class Similarity(NamedTuple):
    """A similarity transform: a point x goes to ``scale * rotation @ x + shift``."""

    scale: float
    rotation: np.ndarray
    shift: np.ndarray

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Transform points (n, 3)."""
        return self.scale * points @ self.rotation.T + self.shift


def best_similarity(predicted: np.ndarray, truth: np.ndarray, reflection: bool = False) -> Similarity:
    """Return the transform of predicted points (n, 3) with the least squared distance to the true ones
    (Procrustes).

    ``reflection``: it may mirror.
    """
    middles = predicted.mean(0), truth.mean(0)
    source, target = predicted - middles[0], truth - middles[1]
    u, singular, vt = np.linalg.svd(target.T @ source)
    signs = np.array([1.0, 1.0, 1.0 if reflection else np.sign(np.linalg.det(u @ vt))])
    rotation = (u * signs) @ vt
    spread = (source**2).sum()
    scale = float((singular * signs).sum() / spread) if spread > 0 else 0.0
    return Similarity(scale, rotation, middles[1] - scale * rotation @ middles[0])


def f_score(predicted: np.ndarray, truth: np.ndarray, threshold: float) -> float:
    """Harmonic mean of the shares of vertices (V, 3) and (W, 3) that have one of the other mesh closer than
    this.
    """
    near = [
        float((KDTree(others).query(vertices)[0] < threshold).mean())
        for vertices, others in ((predicted, truth), (truth, predicted))
    ]
    return 2 * near[0] * near[1] / sum(near) if sum(near) > 0 else 0.0


def root_error(predicted: np.ndarray, truth: np.ndarray, root: int = hand.WRIST) -> np.ndarray:
    """Distance (...) of the root in the camera frame."""
    return np.linalg.norm(predicted[..., root, :] - truth[..., root, :], axis=-1)


def relative_root_depth_error(predicted: np.ndarray, truth: np.ndarray, root: int = hand.WRIST) -> np.ndarray:
    """Signed error (...) of the root's depth, divided by its true depth."""
    return predicted[..., root, 2] / truth[..., root, 2] - 1


def mrrpe(
    predicted_left: np.ndarray, predicted_right: np.ndarray, left: np.ndarray, right: np.ndarray
) -> np.ndarray:
    """Error (...) of the left wrist's position relative to the right wrist (InterHand2.6M)."""
    predicted = predicted_left[..., hand.WRIST, :] - predicted_right[..., hand.WRIST, :]
    return np.linalg.norm(predicted - (left - right)[..., hand.WRIST, :], axis=-1)


def mpvpe(predicted: HandMesh, truth: HandMesh) -> float:
    """Mean distance over the vertices, metres: the absolute MPVPE, since meshes are in the camera frame.

    Raises:
        ValueError: the meshes are of different templates, so that their vertices do not correspond.
    """
    kinds = [(mesh.template, len(mesh.vertices_m)) for mesh in (predicted, truth)]
    if kinds[0] != kinds[1]:
        raise ValueError(f"meshes must be of one template, with its vertices, got {kinds}")
    return float(joint_errors(predicted.vertices_m, truth.vertices_m).mean())


def pck_auc(errors: np.ndarray, lowest: float, highest: float, steps: int = 100) -> float:
    """Area under the curve of correct keypoints between two thresholds, as a fraction of 1.

    A keypoint is correct if its error is at most the threshold; missing predictions must be given as inf,
    unlabelled joints (NaN) do not count. The papers use 20 to 50 mm (3D) and 0 to 30 px (2D).
    """
    if not highest > lowest:
        raise ValueError(f"highest must exceed lowest, got {lowest} and {highest}")
    labelled = errors[~np.isnan(errors)]
    if labelled.size == 0:
        return float("nan")
    thresholds = np.linspace(lowest, highest, steps)
    correct = np.searchsorted(np.sort(labelled), thresholds, side="right") / labelled.size
    return float(trapezoid(correct, thresholds)) / (highest - lowest)


def limit_violations(angles_rad: np.ndarray, proportions: np.ndarray, tolerance: float = 1e-6) -> np.ndarray:
    """Return whether each hand (...) has an angle (..., 38) or a proportion (..., 20) outside of its limits.

    NaN violates the limits.
    """
    pairs = ((angles_rad, angle_bounds(torch.float64)), (proportions, proportion_bounds(torch.float64)))
    inside = [bounds.contains(torch.from_numpy(values), tolerance).numpy() for values, bounds in pairs]
    return ~(inside[0] & inside[1])


def acceleration(joints: np.ndarray, period_s: float) -> np.ndarray:
    """Acceleration (T - 2, J, 3) of joints (T, J, 3) at a constant frame period, by second differences."""
    if len(joints) < 3:
        raise ValueError(f"acceleration needs at least 3 frames, got {len(joints)}")
    return np.diff(joints, n=2, axis=0) / period_s**2


def jitter(predicted: np.ndarray, period_s: float, truth: np.ndarray | None = None) -> float:
    """Mean norm of the acceleration of the joints (T, J, 3), or of its error where the truth is given; m/s^2.

    Joints that are missing in one of three consecutive frames do not count: state their share.
    """
    of_prediction = acceleration(predicted, period_s)
    of_truth = acceleration(truth, period_s) if truth is not None else 0.0
    return float(np.nanmean(np.linalg.norm(of_prediction - of_truth, axis=-1)))


def coverage(predicted: np.ndarray, sigma: np.ndarray, truth: np.ndarray, multiple: float) -> float:
    """Share of coordinates whose truth lies within ``multiple`` sigma (same shape, or (..., J, 1))."""
    inside = np.abs(predicted - truth) <= multiple * sigma
    labelled = ~np.isnan(truth)
    return float(inside[labelled].mean()) if labelled.any() else float("nan")


def _mean_over_labelled(errors: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean of (..., J) over the joints that have a label; NaN without a label, or without a prediction."""
    labelled = ~np.isnan(truth).any(-1)
    counts = labelled.sum(-1)
    with np.errstate(invalid="ignore"):
        return np.where(labelled, errors, 0.0).sum(-1) / np.where(counts > 0, counts, np.nan)


def _aligned_errors(predicted: np.ndarray, truth: np.ndarray, reflection: bool) -> np.ndarray:
    labelled = ~np.isnan(truth).any(-1)
    errors = np.full(len(truth), np.nan)
    source, target = predicted[labelled], truth[labelled]
    if len(source) < 3 or np.isnan(source).any():
        return errors
    aligned = best_similarity(source, target, reflection).apply(source)
    errors[labelled] = np.linalg.norm(aligned - target, axis=-1)
    return errors
