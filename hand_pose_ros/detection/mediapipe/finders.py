"""The module wraps MediaPipe's two networks as a palm finder and a landmark finder."""

from __future__ import annotations

import numpy as np

from hand_pose_ros.detection.boxes import box_around
from hand_pose_ros.detection.detector import DetectorUnavailableError
from hand_pose_ros.detection.finders import FoundHand, Palm
from hand_pose_ros.detection.mediapipe.crop import RotatedSquare
from hand_pose_ros.detection.mediapipe.landmarks import LandmarkNetwork
from hand_pose_ros.detection.mediapipe.network_files import read_networks
from hand_pose_ros.detection.mediapipe.palms import PalmDetector
from hand_pose_ros.networks.imported.backends import ImageNetwork, open_tflite
from hand_pose_ros.networks.orientation.features import NETWORK, has_features, with_features
from hand_pose_ros.pose import CropFeatures, Detection, Frame


class MediaPipeLandmarks:
    """A :class:`~hand_pose_ros.detection.finders.LandmarkFinder`; ``landmarks_m`` are about 2 cm wrong."""

    def __init__(self, network: LandmarkNetwork, box_margin: float = 0.1) -> None:
        """``box_margin``: added on each side of the landmarks' box, as a share of its larger side."""
        self._network = network
        self._box_margin = box_margin

    def in_palm(self, frame: Frame, palm: Palm) -> FoundHand | None:
        """See :class:`~hand_pose_ros.detection.finders.LandmarkFinder`."""
        return self.of_palm(frame.image_bgr, palm)

    def near(
        self, frame: Frame, expected_px: np.ndarray, side: str, is_sure: bool = True
    ) -> FoundHand | None:
        """See :class:`~hand_pose_ros.detection.finders.LandmarkFinder`; the side is not used."""
        del side, is_sure
        return self._found(frame.image_bgr, RotatedSquare.around_landmarks(expected_px))

    def of_palm(self, image_bgr: np.ndarray, palm: Palm) -> FoundHand | None:
        """Find the hand of a palm in an image (H, W, 3) uint8 BGR; None if no hand is possible there."""
        return self._found(image_bgr, RotatedSquare.around_palm(palm.box_px, palm.keypoints_px))

    def _found(self, image_bgr: np.ndarray, square: RotatedSquare) -> FoundHand | None:
        answer = self._network.find(image_bgr, square)
        if not np.isfinite(answer.landmarks_px).all():
            return None
        features = answer.features
        detection = Detection(
            side="right" if answer.right >= 0.5 else "left",
            score=answer.presence,
            box_px=box_around(answer.landmarks_px, self._box_margin),
            landmarks_px=answer.landmarks_px,
            landmarks_m=answer.world_m,
            crop=None if features is None else CropFeatures(NETWORK, features, square.corners_px()),
        )
        return FoundHand(detection, answer.right)


def create_finders(
    model_file: str = "",
    model_complexity: int = 1,
    *,
    backend: str = "auto",
    device: str = "auto",
    threads: int = 0,
    min_palm_score: float = 0.5,
    box_margin: float = 0.1,
) -> tuple[PalmDetector, MediaPipeLandmarks]:
    """The finders of palms and of landmarks.

    Args:
        model_file: path of a ``hand_landmarker.task``; empty for the networks that ``hand_pose models`` stored.
        model_complexity: 0 (lite) or 1 (full) of the stored networks.
        backend, device, threads: see :func:`~hand_pose_ros.networks.imported.backends.open_tflite`.
        min_palm_score: from which a palm counts as found.
        box_margin: added on each side of the landmarks' box, as a share of its larger side.

    Raises:
        DetectorUnavailableError: the networks are not stored, or a library that runs them is not installed.
        ValueError: no usable model file, or an unknown or unavailable backend or device.
    """
    networks = read_networks(model_file, model_complexity)
    palms = PalmDetector(_open(networks.palm, backend, device, threads), min_palm_score)
    content = networks.landmarks
    if has_features(content):
        content = with_features(content)
    landmarks = LandmarkNetwork(_open(content, backend, device, threads))
    return palms, MediaPipeLandmarks(landmarks, box_margin)


def _open(content: bytes, backend: str, device: str, threads: int) -> ImageNetwork:
    try:
        return open_tflite(content, backend, device, threads)
    except ImportError as error:
        raise DetectorUnavailableError(str(error)) from error
