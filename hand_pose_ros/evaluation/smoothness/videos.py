"""How steady real hands are in videos: the same detections, frame by frame and with the temporal transformer.

Everything is relative to the wrist, in millimetres, in the camera's frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.signal import savgol_filter

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.common.named_tensors import stack
from hand_pose_ros.datasets.photo_folder import LabelledPhoto, read_samples
from hand_pose_ros.estimator.estimate import EstimatedHands, PoseEstimator
from hand_pose_ros.estimator.placement import place
from hand_pose_ros.estimator.smoothing import EstimateSmoother
from hand_pose_ros.evaluation.methods import in_camera_axes
from hand_pose_ros.evaluation.smoothness.measures import lag_frames
from hand_pose_ros.pose import Frame
from hand_pose_ros.tracking.tracker import HandTracker
from hand_pose_ros.video.open import open_source

_RATE_HZ = 30.0
_LEAST_FRAMES = 10
_SMOOTHED_FRAMES = 9


class LabelledFrame(NamedTuple):
    """side: of the labelled hand. truth_m: (21, 3) camera frame, NaN where unknown."""

    frame: Frame
    side: str
    truth_m: np.ndarray


class VideoJoints(NamedTuple):
    """F frames, (F, 21, 3) mm relative to the wrist, NaN where not known.

    detector: the detector's own 3D. single: D*. temporal: as published.
    """

    truth: np.ndarray
    detector: np.ndarray
    single: np.ndarray
    temporal: np.ndarray


def labelled_videos(folder: str | Path) -> dict[str, list[LabelledFrame]]:
    """The videos in a folder of labelled photos: one for each sub-folder with consecutive images, in their order.

    Raises:
        ValueError: the folder has no readable ``samples.json``, or a video has no camera.
    """
    photos = sorted(read_samples(folder), key=lambda photo: photo.path)
    videos = {}
    for parent, consecutive in groupby(photos, key=lambda photo: photo.path.parent):
        of_camera = list(consecutive)
        numbers = [_number(photo.path) for photo in of_camera]
        if len(numbers) < _LEAST_FRAMES or np.any(np.diff(numbers) != 1):
            continue
        videos[parent.name] = [
            LabelledFrame(_frame(photo, number / _RATE_HZ), photo.side, photo.joints_m)
            for photo, number in zip(of_camera, numbers, strict=True)
        ]
    return videos


def unlabelled_video(path: str | Path, horizontal_fov_deg: float, side: str) -> Iterator[LabelledFrame]:
    """The frames of a video without labels, for the hand of one side, by a camera with this field of view.

    Raises:
        FileNotFoundError, ValueError: there is no such video.
    """
    unknown = np.full((hand.NUM_JOINTS, 3), np.nan)
    source = open_source(str(path))
    try:
        while (read := source.read()) is not None:
            height, width = read.image.shape[:2]
            camera = read.camera or CameraModel.from_fov(width, height, math.radians(horizontal_fov_deg))
            yield LabelledFrame(Frame(read.image, camera, read.time_s), side, unknown)
    finally:
        source.close()


def follow(
    frames: Iterable[LabelledFrame],
    tracker: HandTracker,
    estimator: PoseEstimator,
    smoother: EstimateSmoother,
) -> VideoJoints:
    """What becomes of the hand in each frame; of several of its side, the one with the best score counts.

    All parts are reset first.
    """
    for part in (tracker, estimator, smoother):
        part.reset()
    rows = []
    for frame, side, truth_m in frames:
        detections = [one for one in tracker.track(frame) if one.side == side]
        best = sorted(detections, key=lambda one: -one.score)[:1]
        estimate = estimator.estimate(frame, best)
        assert frame.time_s is not None, "the frames of a video have a time"
        rows.append(
            VideoJoints(
                _from_wrist(truth_m),
                _from_wrist(in_camera_axes(frame.camera, best[0]) if best else None),
                _placed(estimate),
                _placed(smoother.smooth(estimate, frame.time_s)),
            )
        )
    return stack(rows)


def jitter_mm(joints: np.ndarray) -> float:
    """Mean norm of the second difference over frames of joints (F, 21, 3), mm per frame squared."""
    return float(np.nanmean(np.linalg.norm(np.diff(joints, n=2, axis=0), axis=-1)))


def error_mm(joints: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance of joints (F, 21, 3) from the truth, where both are known."""
    return float(np.nanmean(np.linalg.norm(joints - truth, axis=-1)[:, 1:]))


def lag(joints: np.ndarray, truth: np.ndarray) -> float:
    """Delay in frames of gap-free stretches.

    See :func:`~hand_pose_ros.evaluation.smoothness.measures.lag_frames`.
    """
    both = np.isfinite(joints - truth).all(axis=(0, 2))
    moving = torch.from_numpy(joints[:, both]).float()[None]
    return lag_frames(moving, torch.from_numpy(truth[:, both]).float()[None])


def smoothed_labels(truth: np.ndarray) -> np.ndarray:
    """Labels (F, 21, 3) smoothed over nine frames: labels of single frames tremble more than hands do.

    Joints that are not known in all frames are NaN.
    """
    return savgol_filter(truth, _SMOOTHED_FRAMES, 2, axis=0)


def labelled_table(videos: Mapping[str, VideoJoints]) -> str:
    """Errors, jitter and lag of each video as a Markdown table, frame by frame -> temporal."""
    lines = [
        "| video | frames found | MediaPipe 3D, mm | error, mm | change | jitter | change | lag, frames |",
        "|---|---|---|---|---|---|---|---|",
    ]
    changes = []
    for name, joints in videos.items():
        found = np.isfinite(joints.single).all(axis=(1, 2))
        truth, steadied = joints.truth[found], smoothed_labels(joints.truth)[found]
        single, temporal = joints.single[found], joints.temporal[found]
        error = error_mm(single, truth), error_mm(temporal, truth)
        jitter = jitter_mm(single - steadied), jitter_mm(temporal - steadied)
        changes.append((error[1] / error[0] - 1, jitter[1] / jitter[0] - 1))
        lines.append(
            f"| {name} | {found.sum()} of {len(found)} | {error_mm(joints.detector[found], truth):.1f} "
            f"| {error[0]:.1f} -> {error[1]:.1f} | {changes[-1][0]:+.1%} "
            f"| {jitter[0]:.2f} -> {jitter[1]:.2f} | {changes[-1][1]:+.1%} "
            f"| {lag(single, steadied):.1f} -> {lag(temporal, steadied):.1f} |"
        )
    mean = np.mean(changes, axis=0)
    lines.append(f"| mean | | | | {mean[0]:+.1%} | | {mean[1]:+.1%} | |")
    return "\n".join(lines) + "\n"


def unlabelled_table(joints: VideoJoints) -> str:
    """How much the hand of a video trembles, as a Markdown table."""
    found = np.isfinite(joints.single).all(axis=(1, 2))
    rows = {"MediaPipe 3D": joints.detector, "per frame": joints.single, "temporal": joints.temporal}
    reference = jitter_mm(joints.detector[found])
    lines = [
        f"| {found.sum()} of {len(found)} frames | mean acceleration, mm per frame squared | of MediaPipe's |",
        "|---|---|---|",
    ]
    for name, value in rows.items():
        lines.append(
            f"| {name} | {jitter_mm(value[found]):.2f} | {jitter_mm(value[found]) / reference:.2f} |"
        )
    return "\n".join(lines) + "\n"


def plot_labelled(path: Path, videos: Mapping[str, VideoJoints]) -> None:
    """The index fingertip's coordinates over time in each video: labels, per frame, temporal."""
    figure = Figure(figsize=(12, 2.3 * len(videos)), layout="constrained")
    axes = figure.subplots(len(videos), 3, squeeze=False)
    joint = hand.JOINT_INDEX["index_tip"]
    for row, (name, joints) in zip(axes, videos.items(), strict=True):
        for coordinate, axis in enumerate(row):
            for values, style, label in (
                (joints.truth, "k.", "labels"),
                (joints.single, "C1.-", "per frame"),
                (joints.temporal, "C0.-", "temporal"),
            ):
                axis.plot(values[:, joint, coordinate], style, label=label, lw=1, ms=3)
            axis.set_title(f"{name}: index tip, {'xyz'[coordinate]} from the wrist, mm", fontsize=8)
            axis.tick_params(labelsize=7)
    axes[0, 0].legend(fontsize=7)
    figure.savefig(path, dpi=100)


def _placed(estimate: EstimatedHands) -> np.ndarray:
    poses = place(estimate)
    return _from_wrist(poses[0].joints_m if poses and poses[0].valid else None)


def _from_wrist(joints_m: np.ndarray | None) -> np.ndarray:
    if joints_m is None:
        return np.full((hand.NUM_JOINTS, 3), np.nan)
    return 1000 * (joints_m - joints_m[hand.WRIST])


def _frame(photo: LabelledPhoto, time_s: float) -> Frame:
    if photo.camera is None:
        raise ValueError(f"{photo.path} has no camera")
    return Frame(photo.image(), photo.camera, time_s)


def _number(path: Path) -> int:
    digits = "".join(letter for letter in path.stem if letter.isdigit())
    return int(digits) if digits else -1
