"""An observation holds one hand of a frame in the form used for comparison: points and a vote for a side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.pose import Detection

NUM_POINTS: Final = hand.NUM_JOINTS + 2
"""The joints, and two corners of the box."""


@dataclass(frozen=True, eq=False)
class Observation:
    """A hand seen in a frame.

    points_px: (23, 2) joints, NaN where not known, then the box's upper left and lower right corner.
    right: likelihood of a right hand from this frame alone, in [0, 1].
    """

    detection: Detection
    points_px: np.ndarray
    right: float

    @classmethod
    def of(cls, detection: Detection, right: float | None = None) -> Observation:
        """Make it from a detection; without ``right``, the detection's score is the certainty of its side."""
        points = np.full((NUM_POINTS, 2), np.nan)
        if detection.landmarks_px is not None:
            points[: hand.NUM_JOINTS] = detection.landmarks_px
        points[hand.NUM_JOINTS :] = detection.box_px.reshape(2, 2)
        if right is None:
            certainty = min(max(detection.score, 0.0), 1.0) / 2
            right = 0.5 + certainty if detection.side == "right" else 0.5 - certainty
        return cls(detection, points, right)
