"""A tracker runs the two halves of a detector apart: one finds palms in an image, one the landmarks of a hand."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.pose import Detection, Frame

PALM_KEYPOINTS: Final = tuple(
    hand.JOINT_INDEX[name]
    for name in ("wrist", "index_mcp", "middle_mcp", "ring_mcp", "little_mcp", "thumb_cmc", "thumb_mcp")
)
"""Joints of a palm's keypoints."""


class Palm(NamedTuple):
    """A palm in the image.

    box_px: (4,) x0, y0, x1, y1 around the palm. keypoints_px: (7, 2) the joints ``PALM_KEYPOINTS``, pixels.
    score: in [0, 1]. joints_px: (21, 2) rough places of all joints; None if the finder gives only the palm.
    right: likelihood of a right hand, in [0, 1]; 0.5 if unknown.
    """

    box_px: np.ndarray
    keypoints_px: np.ndarray
    score: float
    joints_px: np.ndarray | None = None
    right: float = 0.5


class FoundHand(NamedTuple):
    """A hand with landmarks. Its score is the probability of a hand.

    right: likelihood of a right hand from this image alone, in [0, 1]; 0.5 if unknown.
    """

    detection: Detection
    right: float


class PalmFinder(Protocol):
    """Searches a whole image for hands."""

    def find(self, image_bgr: np.ndarray) -> list[Palm]:
        """The palms in an image (H, W, 3) uint8 BGR, best first."""
        ...


class LandmarkFinder(Protocol):
    """Finds the landmarks of a hand at one place of an image. The caller decides by the score."""

    def in_palm(self, frame: Frame, palm: Palm) -> FoundHand | None:
        """Find the hand of a palm; None if no hand is possible there."""
        ...

    def near(
        self, frame: Frame, expected_px: np.ndarray, side: str, is_sure: bool = True
    ) -> FoundHand | None:
        """Find the hand of a side whose joints are expected at (21, 2) pixels; None as above.

        is_sure: whether the side is; if not, the finder should tell it if it can.
        """
        ...
