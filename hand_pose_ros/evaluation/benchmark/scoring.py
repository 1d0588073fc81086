"""Measures the figures of a protocol (:mod:`hand_pose_ros.datasets.protocols`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.datasets.joint_orders import palm_centre_from_wrist
from hand_pose_ros.datasets.protocols import Protocol, View
from hand_pose_ros.evaluation import metrics

_UNIT: Final = {"3d": 1e3, "mesh": 1e3, "2d": 1.0, "head": 1.0}
_TIP_BONES: Final = tuple((tip - 1, tip) for tip in hand.FINGERTIPS)


@dataclass(frozen=True, eq=False)
class Estimates:
    """A method's estimates of n labelled hands; NaN where it fails.

    joints_m: (n, 21, 3), camera frame. points_px: (n, 21, 2) image points. vertices_m: n meshes (V, 3), or None.
    """

    joints_m: np.ndarray
    points_px: np.ndarray
    vertices_m: tuple[np.ndarray | None, ...]

    @property
    def found(self) -> np.ndarray:
        """(n,) bool, whether there is an estimate."""
        return np.isfinite(self.points_px).any((1, 2)) | np.isfinite(self.joints_m).any((1, 2))


@dataclass(frozen=True, eq=False)
class Labels:
    """The set's labels of n hands; NaN where unknown.

    joints_m: (n, 21, 3). points_px: (n, 21, 2). visible: (n, 21) bool. head_px: (n,). vertices_m: n meshes or
    None.
    palm_root: joint 0 is the palm's centre. sides, groups, images: (n,) texts; hands of one image share the last.
    """

    joints_m: np.ndarray
    points_px: np.ndarray
    visible: np.ndarray
    head_px: np.ndarray
    vertices_m: tuple[np.ndarray | None, ...]
    palm_root: bool
    sides: np.ndarray
    groups: np.ndarray
    images: np.ndarray


@dataclass(frozen=True)
class Score:
    """The figures of a method by name, NaN where they cannot be measured.

    curves: name of an AUC -> (thresholds, shares of correct keypoints), in the unit of the figure.
    worst: (n,) mean error of each hand in the protocol's first view, infinite where the method failed.
    """

    figures: dict[str, float]
    curves: dict[str, tuple[list[float], list[float]]] = field(default_factory=dict)
    worst: np.ndarray = field(default_factory=lambda: np.empty(0))


def score(protocol: Protocol, estimates: Estimates, labels: Labels) -> Score:
    """Measure all figures of a protocol.

    Means and medians are over the hands with an estimate; a hand without one has no correct keypoint.
    """
    figures: dict[str, float] = dict.fromkeys(protocol.figures, float("nan"))
    curves: dict[str, tuple[list[float], list[float]]] = {}
    worst = None
    for view in protocol.views:
        errors = view_errors(view, estimates, labels)
        if errors is None:
            continue
        unit = _UNIT[view.space]
        columns = _by_side(errors, labels.sides) if view.by_side else errors
        if view.mean:
            figures[view.mean] = unit * keypoint_mean(columns, np.mean)
        if view.median:
            figures[view.median] = unit * keypoint_mean(columns, np.median)
        for auc in view.aucs:
            thresholds = np.linspace(auc.lowest, auc.highest, auc.steps)
            shares = correct_shares(columns, thresholds)
            figures[auc.name] = _area(columns, auc.lowest, auc.highest, auc.steps)
            curves[auc.name] = (unit * thresholds).tolist(), shares.tolist()
        for group, name in view.by_group:
            figures[name] = unit * keypoint_mean(columns[labels.groups == group], np.mean)
        if worst is None:
            worst = _of_hands(errors)
    if protocol.mrrpe:
        figures[protocol.mrrpe] = 1e3 * _mean_mrrpe(estimates, labels)
    for threshold in protocol.f_scores:
        plain, aligned = _f_scores(estimates, labels, threshold)
        figures[f"F@{1e3 * threshold:g} mm"], figures[f"PA F@{1e3 * threshold:g} mm"] = plain, aligned
    return Score(figures, curves, np.full(len(labels.sides), np.nan) if worst is None else worst)


def view_errors(view: View, estimates: Estimates, labels: Labels) -> np.ndarray | None:
    """Return errors (n, keypoints): NaN where unlabelled, infinite where the estimate is missing; None without
    any.

    In metres, pixels or head sizes.
    """
    if view.space == "mesh":
        return _mesh_errors(view, estimates, labels)
    if view.space == "3d":
        errors = _joint_errors(view, _shortened(estimates.joints_m, view.tip_length), labels)
    else:
        errors = metrics.joint_errors(_points(view, estimates), labels.points_px)
        if view.space == "head":
            errors = errors / labels.head_px[:, None]
    labelled = np.isfinite(labels.joints_m if view.space == "3d" else labels.points_px).all(-1)
    if view.space == "head":
        labelled &= np.isfinite(labels.head_px)[:, None]
    if view.space == "3d" and view.align != "absolute":
        labelled &= _alignable(view, labels.joints_m)[:, None]
    if view.visible_only:
        visible = labels.visible.copy()
        if view.root == "palm_middle":  # the palm's centre is visible if wrist or knuckle is
            visible[:, hand.WRIST] |= visible[:, hand.JOINT_INDEX["middle_mcp"]]
        labelled &= visible
    errors = np.where(labelled, np.where(np.isnan(errors), np.inf, errors), np.nan)[:, list(view.joints)]
    return None if np.isnan(errors).all() else errors


def keypoint_mean(errors: np.ndarray, statistic) -> float:
    """Return the mean over keypoints of a statistic of each column of errors (n, keypoints); NaN without any."""
    columns = [column[np.isfinite(column)] for column in errors.T]
    values = [statistic(column) for column in columns if len(column)]
    return float(np.mean(values)) if values else float("nan")


def correct_shares(errors: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return the mean over keypoints of the share of errors (n, keypoints) within each threshold."""
    shares = []
    for column in errors.T:
        labelled = np.sort(column[~np.isnan(column)])
        if len(labelled):
            shares.append(np.searchsorted(labelled, thresholds, side="right") / len(labelled))
    return np.mean(shares, axis=0)


def _area(errors: np.ndarray, lowest: float, highest: float, steps: int) -> float:
    areas = [metrics.pck_auc(column, lowest, highest, steps) for column in errors.T]
    return float(np.nanmean(areas))


def _joint_errors(view: View, joints: np.ndarray, labels: Labels) -> np.ndarray:
    """Return errors (n, 21) after the view's alignment."""
    truth = labels.joints_m
    if view.align == "procrustes":
        return metrics.pa_joint_errors(joints, truth, reflection=True)
    if view.root != "wrist":
        knuckle = view.root.replace("palm_", "") + "_mcp"
        joints = palm_centre_from_wrist(joints, knuckle)
        truth = truth if labels.palm_root else palm_centre_from_wrist(truth, knuckle)
    if view.align == "absolute":
        return metrics.joint_errors(joints, truth)
    joints, truth = (points - points[:, :1] for points in (joints, truth))
    if view.align == "root_scale":
        parent, child = view.scale_bone
        lengths = [
            np.linalg.norm(points[:, child] - points[:, parent], axis=-1) for points in (truth, joints)
        ]
        with np.errstate(divide="ignore", invalid="ignore"):
            joints = joints * (lengths[0] / lengths[1])[:, None, None]
    return metrics.joint_errors(joints, truth)


def _alignable(view: View, truth: np.ndarray) -> np.ndarray:
    """Return (n,) bool, whether the labels have what the alignment needs."""
    known = np.isfinite(truth).all(-1)
    if view.align == "procrustes":
        return known.sum(1) >= 3
    needed = [hand.WRIST] if view.align == "root" else [hand.WRIST, *view.scale_bone]
    return known[:, needed].all(1)


def _mesh_errors(view: View, estimates: Estimates, labels: Labels) -> np.ndarray | None:
    """Return errors (n, V) of meshes of the label's topology; None without such."""
    rows = []
    for predicted, truth in zip(estimates.vertices_m, labels.vertices_m, strict=True):
        if truth is None:
            return None
        if predicted is None:
            rows.append(np.full(len(truth), np.inf))
            continue
        if predicted.shape != truth.shape:
            return None  # vertices of another mesh do not correspond: only F-scores compare them
        aligned = predicted
        if view.align == "procrustes":
            aligned = metrics.best_similarity(predicted, truth, reflection=True).apply(predicted)
        rows.append(metrics.joint_errors(aligned, truth))
    return np.array(rows) if rows else None


def _f_scores(estimates: Estimates, labels: Labels, threshold: float) -> tuple[float, float]:
    """Return the mean F-scores, plain and aligned; a missing mesh counts zero. NaN without labelled meshes.

    A mesh of the label's topology is aligned by its vertices, another by the hand's joints.
    """
    plain, aligned = [], []
    for row, (predicted, truth) in enumerate(zip(estimates.vertices_m, labels.vertices_m, strict=True)):
        if truth is None:
            continue
        if predicted is None:
            plain.append(0.0)
            aligned.append(0.0)
            continue
        same = predicted.shape == truth.shape
        pair = (predicted, truth) if same else (estimates.joints_m[row], labels.joints_m[row])
        moved = metrics.best_similarity(*pair, reflection=True).apply(predicted)
        plain.append(metrics.f_score(predicted, truth, threshold))
        aligned.append(metrics.f_score(moved, truth, threshold))
    if not plain:
        return float("nan"), float("nan")
    return float(np.mean(plain)), float(np.mean(aligned))


def _mean_mrrpe(estimates: Estimates, labels: Labels) -> float:
    """Return the mean error over the images with a valid wrist of both hands, metres."""
    left, right = (
        {image: row for row, image in enumerate(labels.images) if labels.sides[row] == side}
        for side in hand.SIDES
    )
    errors = [
        metrics.mrrpe(
            estimates.joints_m[left[image]],
            estimates.joints_m[right[image]],
            labels.joints_m[left[image]],
            labels.joints_m[right[image]],
        )
        for image in left
        if image in right
    ]
    known = np.array([error for error in errors if np.isfinite(error)])
    return float(known.mean()) if len(known) else float("nan")


def _shortened(joints: np.ndarray, factor: float) -> np.ndarray:
    """Scale the last bone of each finger of joints (n, 21, ...)."""
    if factor == 1:
        return joints
    joints = joints.copy()
    for dip, tip in _TIP_BONES:
        joints[:, tip] = joints[:, dip] + factor * (joints[:, tip] - joints[:, dip])
    return joints


def _points(view: View, estimates: Estimates) -> np.ndarray:
    return _shortened(estimates.points_px, view.tip_length)


def _by_side(errors: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Return (n, 42): the errors of left hands in the first 21 columns, of right ones in the others."""
    return np.concatenate([np.where((sides == side)[:, None], errors, np.nan) for side in hand.SIDES], axis=1)


def _of_hands(errors: np.ndarray) -> np.ndarray:
    """Return the mean over the labelled keypoints (n,); NaN without any."""
    counts = (~np.isnan(errors)).sum(1)
    with np.errstate(invalid="ignore"):
        return np.where(counts > 0, np.nansum(errors, axis=1) / np.maximum(counts, 1), np.nan)
