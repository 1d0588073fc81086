"""The module computes the errors of a recording against the known truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.evaluation import metrics
from hand_pose_ros.ros.demo.recording import Recording


@dataclass(frozen=True)
class Accuracy:
    """Errors over the processed frames in which the true side was found; lengths in millimetres.

    processed: frames that were processed. found_share: share of these with any hand. right_side_share:
    share of those with a hand of the true side. NaN where there is nothing to average.
    """

    processed: int
    found_share: float
    right_side_share: float
    absolute_mm: float
    root_relative_mm: float
    pa_mm: float
    root_depth_mm: float
    root_depth_percent: float
    jitter_mm: float

    def report(self) -> str:
        """Return the figures with their meaning as text."""
        rows = (
            ("hand found", f"{self.found_share:.1%}", f"of the {self.processed} processed frames"),
            ("side right", f"{self.right_side_share:.1%}", "of those; the errors are means over these frames"),
            ("absolute MPJPE", f"{self.absolute_mm:.1f} mm", "distance of the 21 joints in the camera's frame"),
            ("root-relative", f"{self.root_relative_mm:.1f} mm", "the same, wrists moved onto each other"),
            ("PA-MPJPE", f"{self.pa_mm:.1f} mm", "the same after the best shift, turn and scale: the shape alone"),
            ("jitter", f"{self.jitter_mm:.1f} mm", "second difference over frames of the root-relative error"),
            (
                "root depth",
                f"{self.root_depth_mm:.1f} mm",
                f"median error of the wrist's distance from the camera, {self.root_depth_percent:.1f} % of it",
            ),
        )  # fmt: skip
        return "\n".join(f"  {name:<15}{value:>9}   {meaning}" for name, value, meaning in rows)


def accuracy(recording: Recording, truth_m: np.ndarray, side: str) -> Accuracy:
    """Compare a recording with the truth of its images.

    Args:
        truth_m: (frames, 21, 3), metres in the camera's optical frame, of the recording's last ``frames`` images.
        side: of the true hand.

    Raises:
        ValueError: fewer images were recorded, so that they cannot be matched.
    """
    count = len(truth_m)
    stamps = recording.frame_stamps_ns[len(recording.frame_stamps_ns) - count :]
    if len(recording.frame_stamps_ns) < count:
        raise ValueError(f"{count} images were played, but {len(recording.frame_stamps_ns)} recorded")
    processed = np.isin(stamps, recording.processed_stamps_ns)
    predicted = {side: recording.joints(side)[-count:] for side in hand.SIDES}
    has_side = np.isfinite(predicted[side]).all((1, 2)) & processed
    has_any = np.array([recording.found(stamp) for stamp in stamps], bool) & processed
    estimate, truth = predicted[side][has_side], np.asarray(truth_m, np.float64)[has_side]
    depth = np.abs(metrics.relative_root_depth_error(estimate, truth))
    return Accuracy(
        processed=int(processed.sum()),
        found_share=_ratio(has_any.sum(), processed.sum()),
        right_side_share=_ratio(has_side.sum(), has_any.sum()),
        absolute_mm=1e3 * _mean(metrics.mpjpe(estimate, truth)),
        root_relative_mm=1e3 * _mean(metrics.root_relative_mpjpe(estimate, truth)),
        pa_mm=1e3 * _mean(metrics.pa_mpjpe(estimate, truth)),
        root_depth_mm=1e3 * _median(depth * truth[:, hand.WRIST, 2]),
        root_depth_percent=100 * _median(depth),
        jitter_mm=1e3 * _jitter(predicted[side], np.asarray(truth_m, np.float64)),
    )


def _jitter(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Mean norm of the second difference of the errors relative to the wrist, where three frames are known."""
    error = (predicted - predicted[:, :1]) - (truth - truth[:, :1])
    norms = np.linalg.norm(np.diff(error, n=2, axis=0), axis=-1)
    return _mean(norms[np.isfinite(norms).all(1)])


def _ratio(part: int, whole: int) -> float:
    return float(part / whole) if whole else float("nan")


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if values.size else float("nan")
