"""The detector searches each image with MediaPipe's two networks: 2D landmarks, side, and rough 3D landmarks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from hand_pose_ros.common.device import DEVICES
from hand_pose_ros.common.options import Options, option
from hand_pose_ros.detection.boxes import box_around
from hand_pose_ros.detection.detector import check_image
from hand_pose_ros.detection.mediapipe.finders import MediaPipeLandmarks, create_finders
from hand_pose_ros.detection.mediapipe.palms import PalmDetector
from hand_pose_ros.detection.searching import hands_of_palms
from hand_pose_ros.networks.imported.backends import IMPORTED_BACKENDS
from hand_pose_ros.pose import Detection


@dataclass(frozen=True)
class MediaPipeConfig(Options):
    """Options of :class:`MediaPipeDetector`, and of the same networks in a tracker.

    max_hands: largest number of hands.
    min_detection_confidence: of a palm. min_tracking_confidence: of a hand at a palm.
    box_margin: added on each side of the landmarks' box, as a share of its larger side.
    max_image_side_px: larger images are scaled down before detection; results are for the image as given.
    threads: of the CPU, see :func:`~hand_pose_ros.networks.imported.backends.open_tflite`.
    """

    model_file: str = option(
        "", "Path of a hand_landmarker.task; empty for the networks that `hand_pose models` stored."
    )
    model_complexity: int = option(
        1, "Lite (0) or full (1) stored networks; a model file has its own.", minimum=0, maximum=1
    )
    backend: str = option(
        "auto",
        "What runs the networks. `auto` is PyTorch on CUDA; on a CPU it is LiteRT where that is installed, "
        "else onnxruntime.",
        choices=IMPORTED_BACKENDS,
    )
    max_hands: int = 2
    min_detection_confidence: float = 0.5
    min_tracking_confidence: float = 0.5
    box_margin: float = 0.1
    max_image_side_px: int = 1920
    device: str = "auto"
    threads: int = 0

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
        if self.device not in DEVICES:
            raise ValueError(f"device must be one of {DEVICES}, got {self.device!r}")

    def create_finders(self) -> tuple[PalmDetector, MediaPipeLandmarks]:
        """The finders of palms and of landmarks with these options; see :func:`create_finders`."""
        return create_finders(
            self.model_file,
            self.model_complexity,
            backend=self.backend,
            device=self.device,
            threads=self.threads,
            min_palm_score=self.min_detection_confidence,
            box_margin=self.box_margin,
        )


class MediaPipeDetector:
    """A :class:`~hand_pose_ros.detection.detector.HandDetector`; call it from one thread at a time.

    Each image is searched independently. The score is the probability of a hand. ``landmarks_m`` are the network's
    world landmarks: about 2 cm wrong.
    """

    def __init__(self, config: MediaPipeConfig | None = None) -> None:
        """Load the networks.

        Raises:
            DetectorUnavailableError: the networks are not stored, or a library that runs them is not installed.
            ValueError: the model file is missing or is not a hand landmarker, or the device is not available.
        """
        self._config = config or MediaPipeConfig()
        self._finders: tuple[PalmDetector, MediaPipeLandmarks] | None = self._config.create_finders()

    def detect(self, image_bgr: np.ndarray) -> list[Detection]:
        """See :class:`~hand_pose_ros.detection.detector.HandDetector`; images of any size.

        Raises:
            ValueError: not an image. RuntimeError: the detector is closed.
        """
        image = check_image(image_bgr)
        palms, landmarks = self._opened()
        small = _shrunk(image, self._config.max_image_side_px)
        config = self._config
        found = hands_of_palms(
            palms.find(small),
            lambda palm: landmarks.of_palm(small, palm),
            config.min_tracking_confidence,
            config.max_hands,
        )
        return [self._in_full_image(one, small.shape, image.shape) for one in found]

    @property
    def palms(self) -> PalmDetector:
        """The finder of palms.

        Raises:
            RuntimeError: the detector is closed.
        """
        return self._opened()[0]

    def _opened(self) -> tuple[PalmDetector, MediaPipeLandmarks]:
        if self._finders is None:
            raise RuntimeError("the detector is closed")
        return self._finders

    def reset(self) -> None:
        """Do nothing: images are independent."""

    def close(self) -> None:
        """Free the networks; closing again does nothing."""
        self._finders = None

    def _in_full_image(self, found: Detection, small: tuple[int, ...], full: tuple[int, ...]) -> Detection:
        if small == full:
            return found
        assert found.landmarks_px is not None  # the network always has landmarks
        scale = np.array(full[1::-1]) / np.array(small[1::-1])
        landmarks_px = (found.landmarks_px + 0.5) * scale - 0.5
        return Detection(
            side=found.side,
            score=found.score,
            box_px=box_around(landmarks_px, self._config.box_margin),
            landmarks_px=landmarks_px,
            landmarks_m=found.landmarks_m,
            crop=found.crop,
        )


def _shrunk(image: np.ndarray, max_side_px: int) -> np.ndarray:
    scale = max_side_px / max(image.shape[:2])
    if scale >= 1:
        return image
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
