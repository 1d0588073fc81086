"""The detector runs MediaPipe, at camera rate on a CPU: 2D landmarks, side, and rough 3D landmarks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from hand_pose_ros.common.options import Options, option
from hand_pose_ros.detection.boxes import box_around
from hand_pose_ros.detection.detector import check_image
from hand_pose_ros.detection.mediapipe.graph import Backend, FoundHand, SolutionsBackend, TasksBackend
from hand_pose_ros.detection.suppression import suppress_duplicates
from hand_pose_ros.pose import Detection


@dataclass(frozen=True)
class MediaPipeConfig(Options):
    """Options of :class:`MediaPipeDetector`.

    max_hands: largest number of hands. While fewer are in view MediaPipe searches every frame for more, which
        costs more than tracking.
    tracking: track hands from frame to frame (a video) instead of searching each image (photos).
    min_detection_confidence: of the palm, for a new hand. min_tracking_confidence: of the hand's presence, to
        keep tracking it.
    box_margin: added on each side of the landmarks' box, as a share of its larger side.
    max_image_side_px: larger images are scaled down before detection; results are for the image as given.
    """

    model_file: str = option(
        "", "Path of a hand_landmarker.task; empty for the model in MediaPipe's wheel (up to 0.10.21)."
    )
    model_complexity: int = option(
        1, "Lite (0) or full (1) model of the wheel; a model file has its own.", minimum=0, maximum=1
    )
    max_hands: int = 2
    tracking: bool = True
    min_detection_confidence: float = 0.5
    min_tracking_confidence: float = 0.5
    box_margin: float = 0.1
    max_image_side_px: int = 1920

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_hands < 1:
            raise ValueError(f"max_hands must be at least 1, got {self.max_hands}")
        for name in ("min_detection_confidence", "min_tracking_confidence"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        if not (self.box_margin >= 0 and math.isfinite(self.box_margin)):
            raise ValueError(f"box_margin must be finite and not negative, got {self.box_margin}")
        if self.max_image_side_px < 64:
            raise ValueError(f"max_image_side_px must be at least 64, got {self.max_image_side_px}")


class MediaPipeDetector:
    """A :class:`~hand_pose_ros.detection.detector.HandDetector`; call it from one thread at a time.

    The score is MediaPipe's confidence in the side. ``landmarks_m`` are its world landmarks: about 2 cm wrong.
    """

    def __init__(self, config: MediaPipeConfig | None = None) -> None:
        """Load the model.

        Raises:
            DetectorUnavailableError: MediaPipe is not installed, or has no model of its own and none is given.
            ValueError: the model file is missing or is not a hand landmarker.
        """
        self._config = config or MediaPipeConfig()
        self._backend: Backend | None = _open(self._config)

    def detect(self, image_bgr: np.ndarray) -> list[Detection]:
        """See :class:`~hand_pose_ros.detection.detector.HandDetector`; images of any size.

        Raises:
            ValueError: not an image. RuntimeError: the detector is closed.
        """
        image = check_image(image_bgr)
        small = _shrunk(image, self._config.max_image_side_px)
        found = self._open_backend().find(cv2.cvtColor(small, cv2.COLOR_BGR2RGB))
        detections = [self._detection(one, small.shape, image.shape) for one in found]
        return suppress_duplicates(detections, self._config.max_hands)

    def reset(self) -> None:
        """Forget the tracked hands."""
        self._open_backend().reset()

    def close(self) -> None:
        """Free the model; closing again does nothing."""
        if self._backend is not None:
            self._backend.close()
            self._backend = None

    def _open_backend(self) -> Backend:
        if self._backend is None:
            raise RuntimeError("the detector is closed")
        return self._backend

    def _detection(self, found: FoundHand, small: tuple[int, ...], full: tuple[int, ...]) -> Detection:
        small_size, full_size = np.array(small[1::-1]), np.array(full[1::-1])
        # MediaPipe's fractions times the size are already pixel centres (docs/use/detection.md).
        landmarks_px = (found.landmarks * small_size + 0.5) * (full_size / small_size) - 0.5
        return Detection(
            side=found.side,
            score=found.score,
            box_px=box_around(landmarks_px, self._config.box_margin),
            landmarks_px=landmarks_px,
            landmarks_m=found.world_m,
        )


def _open(config: MediaPipeConfig) -> Backend:
    shared = {
        "max_hands": config.max_hands,
        "tracking": config.tracking,
        "min_detection_confidence": config.min_detection_confidence,
        "min_tracking_confidence": config.min_tracking_confidence,
    }
    if config.model_file:
        return TasksBackend(config.model_file, **shared)
    return SolutionsBackend(model_complexity=config.model_complexity, **shared)


def _shrunk(image: np.ndarray, max_side_px: int) -> np.ndarray:
    scale = max_side_px / max(image.shape[:2])
    if scale >= 1:
        return image
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
