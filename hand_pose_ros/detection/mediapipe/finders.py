"""MediaPipe's two networks as what a tracker runs: a finder of palms, and one of landmarks."""

from __future__ import annotations

import numpy as np

from hand_pose_ros.detection.boxes import box_around
from hand_pose_ros.detection.finders import FoundHand, Palm
from hand_pose_ros.detection.mediapipe.crop import RotatedSquare
from hand_pose_ros.detection.mediapipe.landmarks import LandmarkNetwork
from hand_pose_ros.detection.mediapipe.models import TfliteNetwork, read_models
from hand_pose_ros.detection.mediapipe.palms import PalmDetector
from hand_pose_ros.pose import Detection, Frame


class MediaPipeLandmarks:
    """A :class:`~hand_pose_ros.detection.finders.LandmarkFinder`; ``landmarks_m`` are about 2 cm wrong."""

    def __init__(self, network: LandmarkNetwork, box_margin: float = 0.1) -> None:
        """``box_margin``: added on each side of the landmarks' box, as a share of its larger side."""
        self._network = network
        self._box_margin = box_margin

    def in_palm(self, frame: Frame, palm: Palm) -> FoundHand | None:
        """See :class:`~hand_pose_ros.detection.finders.LandmarkFinder`."""
        return self._found(frame, RotatedSquare.around_palm(palm.box_px, palm.keypoints_px))

    def near(self, frame: Frame, expected_px: np.ndarray, side: str) -> FoundHand | None:
        """See :class:`~hand_pose_ros.detection.finders.LandmarkFinder`; the side plays no part."""
        del side
        return self._found(frame, RotatedSquare.around_landmarks(expected_px))

    def _found(self, frame: Frame, square: RotatedSquare) -> FoundHand | None:
        answer = self._network.find(frame.image_bgr, square)
        if not np.isfinite(answer.landmarks_px).all():
            return None
        detection = Detection(
            side="right" if answer.right >= 0.5 else "left",
            score=answer.presence,
            box_px=box_around(answer.landmarks_px, self._box_margin),
            landmarks_px=answer.landmarks_px,
            landmarks_m=answer.world_m,
        )
        return FoundHand(detection, answer.right)


def create_finders(
    model_file: str = "", model_complexity: int = 1, threads: int = 0, min_palm_score: float = 0.5
) -> tuple[PalmDetector, MediaPipeLandmarks]:
    """The finders of palms and of landmarks.

    Args:
        model_file: path of a ``hand_landmarker.task``; empty for the networks in MediaPipe's wheel
            (up to 0.10.21).
        model_complexity: 0 (lite) or 1 (full) of the networks in the wheel.
        threads: of the CPU, for the networks; 0 for half of the cores, at most four.
        min_palm_score: from which a palm counts as found.

    Raises:
        DetectorUnavailableError: LiteRT or the networks are not installed. ValueError: no usable model file.
    """
    models = read_models(model_file, model_complexity)
    palms = PalmDetector(TfliteNetwork(models.palm, threads), min_palm_score)
    return palms, MediaPipeLandmarks(LandmarkNetwork(TfliteNetwork(models.landmarks, threads)))
