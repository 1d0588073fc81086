"""Runs estimators on the hands of a data set, one image at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from tqdm import tqdm

from hand_pose_ros import hand
from hand_pose_ros.datasets.labelled_hand import LabelledHand, Observation
from hand_pose_ros.detection.boxes import box_iou
from hand_pose_ros.detection.detector import HandDetector
from hand_pose_ros.detection.finders import LandmarkFinder
from hand_pose_ros.estimator.estimate import PoseEstimator
from hand_pose_ros.estimator.placement import place
from hand_pose_ros.evaluation.accuracy.photo_detections import best_match
from hand_pose_ros.evaluation.benchmark.scoring import Estimates, Labels
from hand_pose_ros.evaluation.methods import detector_with_pnp
from hand_pose_ros.hand_images.labelled.convert import assumed_camera
from hand_pose_ros.mesh.mano import ManoModel
from hand_pose_ros.mesh.mano_pose import mano_mesh
from hand_pose_ros.mesh.skinning import hand_mesh
from hand_pose_ros.pose import Detection, Frame

_MIN_POINTS: Final = 2  # labelled points that a detection can be compared with

HandResult = tuple[np.ndarray, np.ndarray | None]
"""Joints (21, 3) in the camera frame, metres, and the vertices (V, 3) of a mesh; NaN or None where unknown."""
Method = Callable[[LabelledHand, Frame, Detection], HandResult]
"""Estimates a detected hand; of the labels it may use nothing, unless it is the perfect one."""
Look = Callable[[LabelledHand, Frame], Detection | None]
"""Finds the labelled hand in an image."""


@dataclass(frozen=True, eq=False)
class BenchmarkRun:
    """The hands of a set that could be read, their labels, and what each method estimates of them."""

    hands: tuple[LabelledHand, ...]
    labels: Labels
    estimates: dict[str, Estimates]
    detected: np.ndarray


@dataclass(frozen=True, eq=False)
class Estimated:
    """Hands, whether each was detected (n,), and what each method estimates of them; there may be none."""

    hands: tuple[LabelledHand, ...]
    detected: np.ndarray
    estimates: dict[str, Estimates]


def estimate(
    hands: Iterable[LabelledHand], methods: Mapping[str, Method], look: Look, meshes: bool
) -> Estimated:
    """Estimate every hand with every method; a result does not depend on the other hands.

    Args:
        methods: by name. look: finds the hand that all methods get. meshes: whether vertices are kept.

    Raises:
        MalformedFileError: an image is missing or malformed.
    """
    kept: list[LabelledHand] = []
    detected: list[bool] = []
    results: dict[str, list[tuple[np.ndarray, np.ndarray, np.ndarray | None]]] = {
        name: [] for name in methods
    }
    last: tuple[object, np.ndarray] | None = None
    for one in tqdm(hands, unit="hand", disable=None):
        if last is None or last[0] != one.path:
            last = one.path, one.image()
        frame = Frame(last[1], one.camera or assumed_camera(last[1]))
        detection = look(one, frame)
        kept.append(one)
        detected.append(detection is not None)
        for name, method in methods.items():
            unknown = np.full((hand.NUM_JOINTS, 3), np.nan), None
            joints, vertices = unknown if detection is None else method(one, frame, detection)
            points = frame.camera.project(torch.from_numpy(np.asarray(joints, np.float64))).numpy()
            if method is perfect and detection is not None:
                points = one.points_px
            results[name].append((joints, points, vertices if meshes else None))
    return Estimated(
        tuple(kept), np.array(detected, bool), {name: _gathered(rows) for name, rows in results.items()}
    )


def whole_run(estimated: Estimated) -> BenchmarkRun:
    """Add the labels.

    Raises:
        ValueError: there is no hand.
    """
    if not estimated.hands:
        raise ValueError("there is no hand to estimate")
    labels = labels_of(estimated.hands)
    return BenchmarkRun(estimated.hands, labels, estimated.estimates, estimated.detected)


def _gathered(rows: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray | None]]) -> Estimates:
    if not rows:
        unknown = np.empty((0, hand.NUM_JOINTS, 3))
        return Estimates(unknown, unknown[..., :2], ())
    joints, points, vertices = zip(*rows, strict=True)
    return Estimates(np.stack(joints), np.stack(points), vertices)


def labels_of(hands: Sequence[LabelledHand]) -> Labels:
    """Gather the labels of hands."""
    every = np.ones(hand.NUM_JOINTS, bool)
    return Labels(
        np.stack([one.joints_m for one in hands]),
        np.stack([one.points_px for one in hands]),
        np.stack([every if one.visible is None else one.visible for one in hands]),
        np.array([np.nan if one.head_size_px is None else one.head_size_px for one in hands]),
        tuple(one.vertices_m for one in hands),
        any(one.palm_root for one in hands),
        np.array([one.side for one in hands]),
        np.array([one.group for one in hands]),
        np.array([str(one.path) for one in hands]),
    )


def by_detector(detector: HandDetector) -> Look:
    """Return the look that runs a detector on the whole image and takes the labelled hand of what it finds."""

    def look(one: LabelledHand, frame: Frame) -> Detection | None:
        detector.reset()
        found = detector.detect(frame.image_bgr)
        if np.isfinite(one.points_px).all(1).sum() >= _MIN_POINTS:
            return best_match(found, one)
        return _in_box(found, one)

    return look


def by_labels(finder: LandmarkFinder) -> Look:
    """Return the look that runs a landmark network where the labels say that the hand is.

    The papers cut the hand out by its labels too. The crop's place, size and roll are the labels'.
    """

    def look(one: LabelledHand, frame: Frame) -> Detection | None:
        if not np.isfinite(one.points_px).all():
            return None
        found = finder.near(frame, one.points_px, one.side)
        if found is None:
            return None
        detection = found.detection
        return Detection(
            one.side, detection.score, detection.box_px, detection.landmarks_px, detection.landmarks_m
        )

    return look


def by_nobody(one: LabelledHand, frame: Frame) -> Detection | None:
    """Give every hand a detection without content, for methods that need none."""
    del frame
    return Detection(one.side, 1.0, np.array((0.0, 0.0, 1.0, 1.0)))


def estimator_method(estimator: PoseEstimator, meshes: bool, mano: ManoModel | None = None) -> Method:
    """Return the method of an estimator, hand by hand, as the node does on a single image.

    Args:
        mano: whose mesh the hands get, so that the vertices correspond to those of labels of MANO; None for the
            estimator's or ours.
    """

    def method(one: LabelledHand, frame: Frame, detection: Detection) -> HandResult:
        del one
        estimator.reset()
        (pose,) = place(estimator.estimate(frame, [detection]))
        if not (meshes and pose.valid):
            return pose.joints_m, None
        return pose.joints_m, (hand_mesh(pose) if mano is None else mano_mesh(pose, mano)).vertices_m

    return method


def detector_method(one: LabelledHand, frame: Frame, detection: Detection) -> HandResult:
    """Place the detector's own 3D so that it projects onto its 2D (PnP)."""
    observation = Observation(lambda: frame.image_bgr, frame.camera, detection, one.joints_m, one.points_px)
    return detector_with_pnp([observation]).joints_m[0], None


def perfect(one: LabelledHand, frame: Frame, detection: Detection) -> HandResult:
    """Return the labels, which checks a set and its protocol: every error is zero."""
    del frame, detection
    return one.joints_with_wrist_m, one.vertices_m


def _in_box(found: Sequence[Detection], one: LabelledHand) -> Detection | None:
    """Return the detection of the hand's side that overlaps the set's own box most; without a box, the surest."""
    candidates = [detection for detection in found if detection.side == one.side]
    if not candidates:
        return None
    if one.box_px is None:
        return max(candidates, key=lambda detection: detection.score)
    overlaps = box_iou(one.box_px, np.stack([detection.box_px for detection in candidates]))
    return candidates[int(overlaps.argmax())] if overlaps.max() > 0 else None
