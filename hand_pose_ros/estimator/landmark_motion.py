"""Motion of a hand's landmarks about their centre from frame to frame, independent of place and size."""

from __future__ import annotations

import math

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.pose import Detection


def landmark_shape(detection: Detection) -> np.ndarray:
    """Return the landmarks (21, 2) about their middle, in multiples of their root mean square distance from it.

    NaN where there are none.
    """
    if detection.landmarks_px is None:
        return np.full((hand.NUM_JOINTS, 2), np.nan)
    known = detection.landmarks_px[np.isfinite(detection.landmarks_px[:, 0])]
    if not len(known):
        return np.full((hand.NUM_JOINTS, 2), np.nan)
    middle = known.mean(axis=0)
    size = float(np.sqrt(np.square(known - middle).sum(axis=-1).mean()))
    return (detection.landmarks_px - middle) / max(size, 1e-6)


def shape_motion(shape: np.ndarray, last: np.ndarray) -> float:
    """Return the mean distance between two shapes (21, 2); infinite if they have no joint in common."""
    apart = shape - last
    apart = apart[np.isfinite(apart[:, 0])]
    return float(np.linalg.norm(apart, axis=-1).mean()) if len(apart) else math.inf
