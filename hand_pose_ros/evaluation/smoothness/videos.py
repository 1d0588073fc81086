"""Measures jitter, lag and error on real videos, per frame and with the temporal transformer.

All joints are relative to the wrist, in millimetres, in the camera's frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from hand_pose_ros.pose import Detection, Frame
from hand_pose_ros.tracking.tracker import HandTracker
from hand_pose_ros.video.open import open_source

_RATE_HZ = 30.0
_LEAST_FRAMES = 10
_SMOOTHED_FRAMES = 9


class LabelledFrame(NamedTuple):
    """One frame of a video.

    side: side of the labelled hand. truth_m: (21, 3) camera frame, NaN where unknown.
    """

    frame: Frame
    side: str
    truth_m: np.ndarray


class VideoJoints(NamedTuple):
    """Joints of F frames, (F, 21, 3) mm relative to the wrist, NaN where unknown.

    detector: the detector's own 3D. single: D*. temporal: the smoothed D*.
    """

    truth: np.ndarray
    detector: np.ndarray
    single: np.ndarray
    temporal: np.ndarray


def labelled_videos(folder: str | Path) -> dict[str, list[LabelledFrame]]:
    """Read a video from each sub-folder of labelled photos that has consecutive images.

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
    """Yield the frames of a video without labels, for the hand of one side and this field of view.

    Raises:
        FileNotFoundError, ValueError: the video does not exist or cannot be read.
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
    reference: HandTracker,
) -> VideoJoints:
    """Track, estimate and smooth the hand in each frame; of several of its side, the best score counts.

    The trackers, the estimator and the smoother are reset first.

    Args:
        reference: the tracker whose own 3D landmarks are compared.
    """
    for part in (tracker, estimator, smoother, reference):
        part.reset()
    rows = []
    for frame, side, truth_m in frames:
        best, compared = (_best(one.track(frame), side) for one in (tracker, reference))
        estimate = estimator.estimate(frame, best)
        assert frame.time_s is not None, "the frames of a video have a time"
        rows.append(
            VideoJoints(
                _from_wrist(truth_m),
                _from_wrist(in_camera_axes(frame.camera, compared[0]) if compared else None),
                _placed(estimate),
                _placed(smoother.smooth(estimate, frame.time_s)),
            )
        )
    return stack(rows)


def _best(detections: Sequence[Detection], side: str) -> list[Detection]:
    """Return the detection of a side with the best score, if there is one."""
    return sorted((one for one in detections if one.side == side), key=lambda one: -one.score)[:1]


def jitter_mm(joints: np.ndarray) -> float:
    """Mean norm of the second difference over frames of joints (F, 21, 3), mm per frame squared."""
    return float(np.nanmean(np.linalg.norm(np.diff(joints, n=2, axis=0), axis=-1)))


def error_mm(joints: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance of joints (F, 21, 3) from the truth, where both are known."""
    return float(np.nanmean(np.linalg.norm(joints - truth, axis=-1)[:, 1:]))


def lag(joints: np.ndarray, truth: np.ndarray) -> float:
    """Return the delay in frames, by :func:`~hand_pose_ros.evaluation.smoothness.measures.lag_frames`."""
    both = np.isfinite(joints - truth).all(axis=(0, 2))
    moving = torch.from_numpy(joints[:, both]).float()[None]
    return lag_frames(moving, torch.from_numpy(truth[:, both]).float()[None])


def smoothed_labels(truth: np.ndarray) -> np.ndarray:
    """Smooth labels (F, 21, 3) over nine frames: labels of single frames jitter more than hands do.

    Joints that are unknown in some frame become NaN.
    """
    return savgol_filter(truth, _SMOOTHED_FRAMES, 2, axis=0)


def labelled_table(videos: Mapping[str, VideoJoints]) -> str:
    """Format errors, jitter and lag of each video as a Markdown table, per frame -> temporal."""
    lines = [
        "| video | frames found | MediaPipe 3D, mm | error, mm | change | jitter | change | lag, frames |",
        "|---|---|---|---|---|---|---|---|",
    ]
    changes = []
    for name, joints in videos.items():
        found = np.isfinite(joints.single).all(axis=(1, 2))
        truth, smoothed = joints.truth[found], smoothed_labels(joints.truth)[found]
        single, temporal = joints.single[found], joints.temporal[found]
        error = error_mm(single, truth), error_mm(temporal, truth)
        jitter = jitter_mm(single - smoothed), jitter_mm(temporal - smoothed)
        changes.append((error[1] / error[0] - 1, jitter[1] / jitter[0] - 1))
        lines.append(
            f"| {name} | {found.sum()} of {len(found)} | {error_mm(joints.detector[found], truth):.1f} "
            f"| {error[0]:.1f} -> {error[1]:.1f} | {changes[-1][0]:+.1%} "
            f"| {jitter[0]:.2f} -> {jitter[1]:.2f} | {changes[-1][1]:+.1%} "
            f"| {lag(single, smoothed):.1f} -> {lag(temporal, smoothed):.1f} |"
        )
    mean = np.mean(changes, axis=0)
    lines.append(f"| mean | | | | {mean[0]:+.1%} | | {mean[1]:+.1%} | |")
    return "\n".join(lines) + "\n"


def unlabelled_table(joints: VideoJoints) -> str:
    """Format the jitter of a video as a Markdown table."""
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
    """Plot the index fingertip's coordinates over time in each video: labels, per frame, temporal."""
    figure = Figure(figsize=(9, 2.1 * len(videos) + 0.5), layout="constrained")
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
            axis.set_title(f"{name}, {'xyz'[coordinate]}", fontsize=9)
        row[0].set_ylabel("mm", fontsize=9)
    figure.supylabel("index fingertip, relative to the wrist, in the camera's axes", fontsize=10)
    save_panels(path, figure, axes, "frame")


def save_panels(path: Path, figure: Figure, axes: np.ndarray, x_label: str) -> None:
    """Save panels ``axes`` (rows, columns) of the same curves, with the x axis named and one legend."""
    for axis in axes.flat:
        axis.tick_params(labelsize=8)
        axis.grid(alpha=0.3)
    figure.align_ylabels(axes[:, 0])
    for axis in axes[-1]:
        axis.set_xlabel(x_label, fontsize=9)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), fontsize=9)
    figure.savefig(path, dpi=110)


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
