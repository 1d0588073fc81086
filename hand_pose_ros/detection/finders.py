"""The two halves of a detector that a tracker runs apart: palms in an image, and the landmarks of one hand."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from hand_pose_ros.pose import Detection, Frame


class Palm(NamedTuple):
    """A palm in the image: box (4,) x0, y0, x1, y1 and keypoints (7, 2), wrist first, pixels; score in [0, 1]."""

    box_px: np.ndarray
    keypoints_px: np.ndarray
    score: float


class FoundHand(NamedTuple):
    """A hand with landmarks. Its score says how likely there is a hand at all.

    right: how likely it is a right one, judging by this image alone, in [0, 1]; 0.5 if that cannot be told.
    """

    detection: Detection
    right: float


class PalmFinder(Protocol):
    """Searches a whole image for hands."""

    def find(self, image_bgr: np.ndarray) -> list[Palm]:
        """The palms in an image (H, W, 3) uint8 BGR, best first."""
        ...


class LandmarkFinder(Protocol):
    """Looks at one place of an image, and always answers: whoever asks decides from which score on it believes."""

    def in_palm(self, frame: Frame, palm: Palm) -> FoundHand | None:
        """The hand of a palm; None if there is nothing that could be one."""
        ...

    def near(self, frame: Frame, expected_px: np.ndarray, side: str) -> FoundHand | None:
        """The hand of a side whose joints are expected at (21, 2) pixels; None as above."""
        ...
