"""The ``hand_evaluate`` command: our estimator beside the detector's own 3D, on labelled photos."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from hand_pose_ros.detection.detector import HandDetector
from hand_pose_ros.evaluation import metrics
from hand_pose_ros.evaluation.methods import Method, detector_3d, detector_with_pnp, estimator_method
from hand_pose_ros.evaluation.photos import LabelledPhoto, read_samples
from hand_pose_ros.pose import Detection

_MIN_LABELLED = 15  # photos with fewer labelled joints, or without a labelled wrist, are not scored


@dataclass(frozen=True)
class Comparison:
    """How methods did on one set of photos.

    photos: scored ones with a camera and labels. found: how many of them the detector found, with the right side;
    only these are scored, the same for every method. rows: method -> metric -> value.
    """

    photos: int
    found: int
    rows: dict[str, dict[str, float]]


def compare(
    photos: Sequence[LabelledPhoto], detector: HandDetector, methods: Mapping[str, Method]
) -> Comparison:
    """Run every method on the same detections and average its metrics over the photos.

    Lengths in millimetres. The AUC is of root-relative 3D joints between 20 and 50 mm.
    """
    photos = [photo for photo in photos if photo.camera is not None and _is_labelled(photo.joints_m)]
    truth, predicted = [], {name: [] for name in methods}
    for photo in tqdm(photos, unit="photo", disable=None):
        image = photo.image()
        detector.reset()
        detection = _best_match(detector.detect(image), photo)
        if detection is None:
            continue
        truth.append(photo.joints_m)
        for name, method in methods.items():
            predicted[name].append(method(image, photo.camera, detection))
    rows = {}
    if truth:
        rows = {name: _score(np.stack(joints), np.stack(truth)) for name, joints in predicted.items()}
    return Comparison(len(photos), len(truth), rows)


def format_table(name: str, comparison: Comparison) -> str:
    """The comparison as a Markdown table under a line that tells the counts."""
    lines = [f"{name}: {comparison.found} of {comparison.photos} hands found", ""]
    if comparison.rows:
        columns = list(next(iter(comparison.rows.values())))
        lines += ["| method | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
        for method, values in comparison.rows.items():
            cells = ["-" if np.isnan(value) else f"{value:.{_DECIMALS[c]}f}" for c, value in values.items()]
            lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


_DECIMALS = {
    "PA-MPJPE mm": 1, "root-relative mm": 1, "scaled mm": 1, "absolute mm": 1, "root mm": 1,
    "root depth %": 1, "AUC 20-50 mm": 3, "failed": 0,
}  # fmt: skip


def _score(predicted: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Means over photos; a photo that a method failed on counts as failed and in no mean."""
    relative = [joints - joints[:, :1] for joints in (predicted, truth)]
    errors = metrics.joint_errors(*relative)[:, 1:]
    errors[np.isnan(errors) & ~np.isnan(truth[:, 1:]).any(-1)] = np.inf
    depth = np.abs(metrics.relative_root_depth_error(predicted, truth))
    return {
        "PA-MPJPE mm": 1e3 * _mean(metrics.pa_mpjpe(predicted, truth)),
        "root-relative mm": 1e3 * _mean(metrics.root_relative_mpjpe(predicted, truth)),
        "scaled mm": 1e3 * _mean(metrics.scaled_root_relative_mpjpe(predicted, truth)),
        "absolute mm": 1e3 * _mean(metrics.mpjpe(predicted, truth)),
        "root mm": 1e3 * _mean(metrics.root_error(predicted, truth)),
        "root depth %": 1e2 * _mean(depth),
        "AUC 20-50 mm": metrics.pck_auc(errors, 0.02, 0.05),
        "failed": float(np.isnan(predicted).any((1, 2)).sum()),
    }


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")


def _is_labelled(joints: np.ndarray) -> bool:
    labelled = ~np.isnan(joints).any(-1)
    return bool(labelled[0] and labelled.sum() >= _MIN_LABELLED)


def _best_match(detections: list[Detection], photo: LabelledPhoto) -> Detection | None:
    """The detection of the labelled hand's side that lies nearest to its image points, if it lies on that hand."""
    candidates = [d for d in detections if d.side == photo.side and d.landmarks_px is not None]
    if not candidates:
        return None
    distances = [np.nanmean(metrics.joint_errors(d.landmarks_px, photo.points_px)) for d in candidates]
    extent = np.nanmax(np.nanmax(photo.points_px, 0) - np.nanmin(photo.points_px, 0))
    nearest = int(np.argmin(distances))
    return candidates[nearest] if distances[nearest] < extent / 2 else None


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    from hand_pose_ros.detection.mediapipe_detector import MediaPipeConfig, MediaPipeDetector
    from hand_pose_ros.estimator.ik_estimator import IkEstimator, IkEstimatorConfig

    parser = argparse.ArgumentParser(prog="hand_evaluate", description=__doc__.splitlines()[0])
    parser.add_argument(
        "folders", nargs="+", type=Path, help="folders with labelled photos and a samples.json"
    )
    parser.add_argument(
        "--hand-size-m", type=float, help="bone wrist -> index MCP; an adult's mean if not given"
    )
    parser.add_argument("--every", type=int, default=1, help="take every n-th photo")
    parser.add_argument("--output", type=Path, help="write the figures here as JSON")
    options = parser.parse_args(arguments)
    detector = MediaPipeDetector(MediaPipeConfig(tracking=False, min_detection_confidence=0.3))
    methods = {
        "MediaPipe 3D": detector_3d,
        "MediaPipe 3D + SQPnP": detector_with_pnp,
        "inverse kinematics": estimator_method(IkEstimator(IkEstimatorConfig(options.hand_size_m))),
    }
    results = {}
    try:
        for folder in options.folders:
            comparison = compare(read_samples(folder)[:: options.every], detector, methods)
            results[folder.name] = vars(comparison)
            sys.stdout.write(format_table(folder.name, comparison) + "\n\n")
    except ValueError as error:
        parser.exit(2, f"hand_evaluate: {error}\n")
    finally:
        detector.close()
    if options.output is not None:
        options.output.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
