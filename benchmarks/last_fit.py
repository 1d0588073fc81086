"""Measures the last fit and the expected errors of the landmarks on labelled photos and on videos.

    python -m benchmarks.last_fit --photos FOLDER ... --videos VIDEO ... --docs docs/results/last_fit.md

On photos: errors with and without the last fit; how the stated uncertainty fits the errors with and without the
expected errors of the landmarks. On videos: how far the projected hand is from the landmarks, and its jitter.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from scipy.stats import spearmanr

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.datasets.labelled_hand import Observation
from hand_pose_ros.datasets.photo_folder import read_samples
from hand_pose_ros.detection.mediapipe.finders import create_finders
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimatorConfig
from hand_pose_ros.estimator.estimate import EstimatedHands
from hand_pose_ros.estimator.last_fit.smoother import LastFit
from hand_pose_ros.estimator.placement import COMMON_SPREAD, ERROR_ACROSS, ERROR_ALONG, place
from hand_pose_ros.estimator.root_filter import RootFilter
from hand_pose_ros.estimator.temporal.smoother import TemporalConfig
from hand_pose_ros.evaluation import reliability
from hand_pose_ros.evaluation.accuracy.comparison import photo_set
from hand_pose_ros.evaluation.methods import Prediction, in_camera_axes
from hand_pose_ros.evaluation.report import replace_between_markers
from hand_pose_ros.evaluation.scores import score
from hand_pose_ros.hand_images.detections import open_mediapipe
from hand_pose_ros.pose import Detection, Frame, HandPose
from hand_pose_ros.tracking.landmark_tracker import LandmarkTracker
from hand_pose_ros.video.open import open_source

FAST: Final = 0.06
"""Mean motion of the landmarks from frame to frame, in sizes of the hand, from which a frame counts as fast."""
_FIGURES: Final = ("PA-MPJPE mm", "root-relative mm", "absolute mm", "absolute, median mm", "EPE px")


def estimates(observations: Sequence[Observation]) -> list[EstimatedHands]:
    """Estimate each hand by the default estimator."""
    estimator = DiffusionEstimatorConfig().create(None, "cpu")
    return [estimator.estimate(Frame(o.image(), o.camera), [o.detection]) for o in observations]


def fitted(found: Sequence[EstimatedHands]) -> list[EstimatedHands]:
    """Apply the last fit to each hand alone."""
    return [LastFit().smooth(one, 0.0) for one in found]


def poses_of(found: Sequence[EstimatedHands]) -> list[HandPose]:
    """Place the hands, one of each frame."""
    return [pose for one in found for pose in place(one)]


def shape_multiples(
    found: EstimatedHands, pose: HandPose, observation: Observation, with_errors: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return errors and deviations (20, 3) of the joints relative to the wrist, in the view's axes, metres."""
    view, hands = found.known
    assert found.samples is not None
    turn = view.rotation[0].double().numpy() * (-1.0 if pose.side == "left" else 1.0, 1.0, 1.0)
    joints, truth = pose.joints_m @ turn.T, observation.joints_m @ turn.T
    error = (joints - joints[:1]) - (truth - truth[:1])
    size = pose.anchor_length_m
    deviations = (found.samples.joints[0] - hands.joints[0]).double().numpy()
    variance = np.square(found.spread_scale * size * deviations).mean(0) + (COMMON_SPREAD * size) ** 2
    if with_errors and found.landmark_error is not None:
        expected = (
            found.landmark_error[0].double().nan_to_num().numpy() * float(view.half_extent[0]) * joints[:, 2]
        )
        variance = variance + np.square(expected[:, None] * (ERROR_ACROSS, ERROR_ACROSS, ERROR_ALONG))
    return error[1:], np.sqrt(variance[1:])


def photo_tables(folders: Sequence[Path], every: int) -> str:
    """Measure on labelled photos and return the tables."""
    detector = open_mediapipe()
    accuracy = [
        "| set | n | method | " + " | ".join(_FIGURES) + " |",
        "|---|---|---|" + "---|" * len(_FIGURES),
    ]
    stated = [
        "| set | sigma | shape: within 1 sigma % | 2 sigma % | rank of hands | of joints "
        "| absolute: within 1 sigma % | 2 sigma % |",
        "|---|---|---|---|---|---|---|---|",
    ]
    landmarks = [
        "| set | expected, mean | real, mean | rank of landmarks | of hands |",
        "|---|---|---|---|---|",
    ]
    for folder in folders:
        observations = photo_set(folder.name, read_samples(folder)[::every], detector).observations
        found = estimates(observations)
        for name, ones in (("per frame", found), ("last fit", fitted(found))):
            figures = score(Prediction.of_poses(poses_of(ones)), observations)
            cells = " | ".join(f"{figures[key]:.1f}" for key in _FIGURES)
            accuracy.append(f"| {folder.name} | {len(observations)} | {name} | {cells} |")
        stated += [_stated_row(folder.name, observations, found, known) for known in (False, True)]
        landmarks.append(_landmark_row(folder.name, observations, found))
    detector.close()
    return (
        "**Photos: the last fit**\n\n" + "\n".join(accuracy) + "\n\n**Photos: stated uncertainty**\n\n"
        + "\n".join(stated) + "\n\n**Photos: errors of the landmarks, half extents**\n\n" + "\n".join(landmarks)
    )  # fmt: skip


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _stated_row(
    name: str, observations: Sequence[Observation], found: Sequence[EstimatedHands], with_errors: bool
) -> str:
    ones = found if with_errors else [replace(one, landmark_error=None) for one in found]
    poses = poses_of(ones)
    pairs = [
        shape_multiples(one, pose, observation, with_errors)
        for one, pose, observation in zip(ones, poses, observations, strict=True)
        if pose.valid
    ]
    error, sigma = (np.stack(values) for values in zip(*pairs, strict=True))
    shape = reliability.coverage(reliability.AxisErrors(error, sigma, np.zeros(error.shape[:2], int)))
    absolute = reliability.coverage(reliability.absolute_errors(Prediction.of_poses(poses), observations))
    distance, spread = np.linalg.norm(error, axis=-1), np.sqrt(np.square(sigma).mean(-1))
    known = np.isfinite(distance)
    joints = spearmanr(spread[known], distance[known])[0]
    row = "with the landmarks' errors" if with_errors else "without"
    return (
        f"| {name} | {row} | {100 * shape['within 1 sigma']:.1f} | {100 * shape['within 2 sigma']:.1f} "
        f"| {shape[reliability.RANK_CORRELATION]:.2f} | {joints:.2f} "
        f"| {100 * absolute['within 1 sigma']:.1f} | {100 * absolute['within 2 sigma']:.1f} |"
    )


def _landmark_row(name: str, observations: Sequence[Observation], found: Sequence[EstimatedHands]) -> str:
    expected, real = [], []
    for one, observation in zip(found, observations, strict=True):
        pixels = one.detections[0].landmarks_px
        if one.landmark_error is None or pixels is None:
            continue
        expected.append(one.landmark_error[0].numpy())
        real.append(
            np.linalg.norm(pixels - observation.points_px, axis=-1) / (np.ptp(pixels, axis=0).max() / 2)
        )
    told, true = np.stack(expected), np.stack(real)
    known = np.isfinite(true)
    hands = spearmanr(np.nanmean(np.where(known, told, np.nan), 1), np.nanmean(true, 1))[0]
    rank = spearmanr(told[known], true[known])[0]
    return f"| {name} | {told[known].mean():.3f} | {true[known].mean():.3f} | {rank:.2f} | {hands:.2f} |"


def video_table(paths: Sequence[Path], fov_deg: float) -> str:
    """Measure on videos and return the table."""
    lines = [
        "| video | frames, fast | hand | misfit % | in fast frames % | jitter, mm per frame squared "
        "| of MediaPipe's |",
        "|---|---|---|---|---|---|---|",
    ]
    for path in paths:
        rows = _tracked(path, fov_deg)
        detector = np.stack([in_camera_axes(row.camera, row.mediapipe) for row in rows])
        for name, stages in (
            ("per frame", ()),
            ("temporal, wrist filter", ("temporal", "root")),
            ("temporal, last fit, wrist filter", ("temporal", "fit", "root")),
        ):
            joints = _published(rows, stages)
            misfit, fast = _misfit(rows, joints)
            jitter = _jitter(joints)
            lines.append(
                f"| {path.stem} | {len(rows)}, {fast.sum()} | {name} | {100 * np.nanmean(misfit):.2f} "
                f"| {100 * np.nanmean(misfit[fast]):.2f} | {jitter:.2f} | {jitter / _jitter(detector):.2f} |"
            )
    return "**Videos**\n\n" + "\n".join(lines)


class _Row(NamedTuple):
    """A frame's estimate, with what the node's tracker and one with MediaPipe's networks alone have detected."""

    camera: CameraModel
    detection: Detection
    found: EstimatedHands
    time_s: float
    mediapipe: Detection


def _tracked(path: Path, fov_deg: float) -> list[_Row]:
    """Track and estimate the best hand of each frame that shows one."""
    estimator, (palms, landmarks) = DiffusionEstimatorConfig().create(None, "cpu"), create_finders()
    tracker = LandmarkTracker(palms, estimator.finder(landmarks))
    reference, source = LandmarkTracker(*create_finders()), open_source(str(path))
    rows, number = [], 0
    while (read := source.read()) is not None:
        height, width = read.image.shape[:2]
        camera = read.camera or CameraModel.from_fov(width, height, math.radians(fov_deg))
        frame, number = Frame(read.image, camera, number / 30), number + 1
        best, other = (
            sorted(one.track(frame), key=lambda one: -one.score)[:1] for one in (tracker, reference)
        )
        if best and other:
            assert frame.time_s is not None
            rows.append(_Row(camera, best[0], estimator.estimate(frame, best), frame.time_s, other[0]))
    source.close()
    return rows


def _published(rows: Sequence[_Row], stages: Sequence[str]) -> np.ndarray:
    """Return joints (F, 21, 3) after some stages, metres."""
    temporal, fit, root = TemporalConfig().create("cpu"), LastFit(), RootFilter()
    joints = []
    for row in rows:
        one = temporal.smooth(row.found, row.time_s) if "temporal" in stages else row.found
        one = fit.smooth(one, row.time_s) if "fit" in stages else one
        hands = place(one)
        hands = root.smooth(hands, row.time_s) if "root" in stages else hands
        joints.append(hands[0].joints_m)
    return np.stack(joints)


def _misfit(rows: Sequence[_Row], joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean distances (F,) of projected joints from landmarks, in sizes of the hand, and the fast frames."""
    landmarks = [row.detection.landmarks_px for row in rows]
    pixels = np.stack([one for one in landmarks if one is not None])
    projected = np.stack(
        [row.camera.project(torch.from_numpy(one)).numpy() for row, one in zip(rows, joints, strict=True)]
    )
    size = np.ptp(pixels, axis=1).max(-1)
    motion = np.linalg.norm(np.diff(pixels, axis=0, prepend=pixels[:1]), axis=-1).mean(-1) / size
    return np.linalg.norm(projected - pixels, axis=-1).mean(-1) / size, motion > FAST


def _jitter(joints: np.ndarray) -> float:
    relative = 1e3 * (joints - joints[:, hand.WRIST, None])
    return float(np.nanmean(np.linalg.norm(np.diff(relative, n=2, axis=0), axis=-1)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables, and write them into a document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--photos", type=Path, nargs="*", default=[], help="folders with a samples.json")
    parser.add_argument("--every", type=int, default=1, help="take every n-th photo")
    parser.add_argument("--videos", type=Path, nargs="*", default=[], help="videos of one hand")
    parser.add_argument("--fov", type=float, default=60.0, help="horizontal field of view, degrees")
    parser.add_argument("--docs", type=Path, help="document whose tables are replaced")
    options = parser.parse_args(arguments)
    texts = [photo_tables(options.photos, options.every)] if options.photos else []
    texts += [video_table(options.videos, options.fov)] if options.videos else []
    sys.stdout.write("\n\n".join(texts) + "\n")
    if options.docs is not None:
        replace_between_markers(options.docs, "\n\n".join(texts), "benchmarks.last_fit")


if __name__ == "__main__":
    main()
