"""New hands are found by one landmark finder, and read and followed by the fast 2.5D network.

Where the network puts a joint far from where it is expected, the first finder is asked, too: now and then the
network takes one finger for another. It has learned from right hands and mirrored left ones, so the first finder
also tells the side, as long as that is not sure.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from hand_pose_ros.detection.boxes import box_around
from hand_pose_ros.detection.finders import FoundHand, LandmarkFinder, Palm
from hand_pose_ros.detection.own.landmarks import BOX_MARGIN, HeatmapLandmarks
from hand_pose_ros.pose import Detection, Frame, ReadLandmarks

_PASSES: Final = 2
_LARGEST_JUMP: Final = 0.25
"""Distance of a joint from its expected place, but for the median motion, at which the first finder is asked."""
_DISAGREEMENT: Final = 0.2
"""Distance of the finders' places of a joint from which one of them is wrong. Both in half extents of the hand."""
_LEAST_PRESENCE: Final = 0.5


class HeatmapFollower:
    """A :class:`~hand_pose_ros.detection.finders.LandmarkFinder` made of two."""

    def __init__(self, beginning: LandmarkFinder, landmarks: HeatmapLandmarks) -> None:
        """``beginning``: tells whether a palm is a new hand, of which side, and about where."""
        self._beginning = beginning
        self._landmarks = landmarks

    def in_palm(self, frame: Frame, palm: Palm) -> FoundHand | None:
        """See :class:`~hand_pose_ros.detection.finders.LandmarkFinder`; the score is the first finder's."""
        found = self._beginning.in_palm(frame, palm)
        if found is None:
            return None
        return found._replace(detection=read_again(self._landmarks, frame, found.detection))

    def near(
        self, frame: Frame, expected_px: np.ndarray, side: str, is_sure: bool = True
    ) -> FoundHand | None:
        """See :class:`~hand_pose_ros.detection.finders.LandmarkFinder`; the first finder alone tells sides.

        A joint on which both finders disagree, where one jumped, is that of the finder that is nearer to what was
        expected. If it is the first one's, its depth is not known.
        """
        found = self._landmarks.near(frame, expected_px, side)
        if found is None:  # such as where the camera's model has no rays
            return self._beginning.near(frame, expected_px, side)
        found = found._replace(right=0.5)
        jumped = (_jumps(found.detection, expected_px) > _LARGEST_JUMP).any()
        second = self._beginning.near(frame, expected_px, side) if jumped or not is_sure else None
        if second is None or second.detection.score < _LEAST_PRESENCE:
            return found
        if not jumped or second.detection.side != side:
            return found._replace(right=second.right)
        return FoundHand(_merged(found.detection, second.detection, expected_px), second.right)


def read_again(landmarks: HeatmapLandmarks, frame: Frame, detection: Detection) -> Detection:
    """The detection with the landmarks that the network reads; as it is if that was done, or cannot be.

    The network reads around the detection's landmarks, and then around its own, as it does in a video. What the
    detector says of the hand as a whole is kept.
    """
    if detection.read is not None or detection.landmarks_px is None:
        return detection
    if not np.isfinite(detection.landmarks_px).all():
        return detection
    found = detection
    for _ in range(_PASSES):
        assert found.landmarks_px is not None
        read = landmarks.near(frame, found.landmarks_px, detection.side)
        if read is None:
            return detection
        found = read.detection
    kept = {name: getattr(detection, name) for name in ("score", "track_id", "seen", "crop")}
    return replace(found, **kept)


def _jumps(detection: Detection, expected_px: np.ndarray) -> np.ndarray:
    """The distance (21,) of each joint from its expected place, but for the median motion, in half extents."""
    assert detection.landmarks_px is not None
    motion = detection.landmarks_px - expected_px
    return np.linalg.norm(motion - np.median(motion, axis=0), axis=1) / _half_extent(expected_px)


def _half_extent(points_px: np.ndarray) -> float:
    return max(float(np.ptp(points_px, axis=0).max()) / 2, 1.0)


def _merged(read: Detection, second: Detection, expected_px: np.ndarray) -> Detection:
    """The detection ``read`` with the joints of the second one where that is the likelier one."""
    assert read.landmarks_px is not None
    assert second.landmarks_px is not None
    assert read.read is not None
    apart = np.linalg.norm(read.landmarks_px - second.landmarks_px, axis=1) / _half_extent(expected_px)
    wrong = (apart > _DISAGREEMENT) & (_jumps(second, expected_px) < _jumps(read, expected_px))
    if not wrong.any():
        return read
    landmarks_px = np.where(wrong[:, None], second.landmarks_px, read.landmarks_px)
    depth, error = np.where(wrong, np.nan, read.read.depth), np.where(wrong, apart, read.read.error)
    box = box_around(landmarks_px, BOX_MARGIN)
    return replace(read, landmarks_px=landmarks_px, box_px=box, read=ReadLandmarks(depth, error))
