"""The own detector: its options, and the search of single images with both of its networks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.common.device import DEVICES, UNCOMPILED_BACKENDS
from hand_pose_ros.common.options import Options, option
from hand_pose_ros.detection.detector import check_image
from hand_pose_ros.detection.own.landmarks import HeatmapLandmarks
from hand_pose_ros.detection.own.palms import HandPalms
from hand_pose_ros.detection.searching import hands_of_palms
from hand_pose_ros.networks.registry import HAND_DETECTOR, HAND_HEATMAP, shipped_weights
from hand_pose_ros.networks.runtime.hand_detector import load_hand_detector
from hand_pose_ros.networks.runtime.heatmap import load_heatmap_network
from hand_pose_ros.pose import Detection, Frame


@dataclass(frozen=True)
class OwnDetectorConfig(Options):
    """Options of :class:`OwnDetector`, and of the same networks in a tracker.

    max_hands: largest number of hands. min_tracking_confidence: probability of a hand from which one counts.
    box_margin: added on each side of the landmarks' box, as a share of its larger side. device: of the networks.
    """

    weights: str = option("", "Weights (.safetensors) of the hand detector; empty for the shipped ones.")
    landmark_weights: str = option(
        "",
        "Weights (.safetensors) of the fast 2.5D network that follows hands; empty for the shipped ones.",
    )
    backend: str = option(
        "auto",
        "Runs both networks: `onnxruntime`, `torch`, or `auto`: torch on CUDA, onnxruntime on a CPU.",
        choices=UNCOMPILED_BACKENDS,
    )
    min_score: float = option(
        0.3, "Score of the hand detector from which a place is read as a hand.", minimum=0.0, maximum=1.0
    )
    min_presence: float = option(
        0.7,
        "Probability of a hand, by the 2.5D network, from which a new one counts; a followed hand needs "
        "`tracker.min_tracking_confidence`.",
        minimum=0.0,
        maximum=1.0,
    )
    max_hands: int = 2
    min_tracking_confidence: float = 0.5
    box_margin: float = 0.1
    device: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_hands < 1:
            raise ValueError(f"max_hands must be at least 1, got {self.max_hands}")
        if not 0 <= self.min_tracking_confidence <= 1:
            raise ValueError(
                f"min_tracking_confidence must lie in [0, 1], got {self.min_tracking_confidence}"
            )
        if not (self.box_margin >= 0 and math.isfinite(self.box_margin)):
            raise ValueError(f"box_margin must be finite and not negative, got {self.box_margin}")
        if self.device not in DEVICES:
            raise ValueError(f"device must be one of {DEVICES}, got {self.device!r}")

    def create_finders(self) -> tuple[HandPalms, HeatmapLandmarks]:
        """The finders of palms and of landmarks with these options.

        Raises:
            ValueError: a weight file is missing, damaged or of another network, or the device is not available.
        """
        detector = load_hand_detector(
            self.weights or shipped_weights(HAND_DETECTOR), self.backend, self.device
        )
        landmarks = load_heatmap_network(
            self.landmark_weights or shipped_weights(HAND_HEATMAP), self.backend, self.device, threads=1
        )
        finder = HeatmapLandmarks(landmarks, self.box_margin, self.min_presence)
        return HandPalms(detector, self.min_score), finder


class OwnDetector:
    """A :class:`~hand_pose_ros.detection.detector.HandDetector`; call it from one thread at a time.

    Each image is searched independently, as the image of a pinhole camera with a field of view of 53 degrees.
    """

    def __init__(self, config: OwnDetectorConfig | None = None) -> None:
        """Load the networks.

        Raises:
            ValueError: as :meth:`OwnDetectorConfig.create_finders`.
        """
        self._config = config or OwnDetectorConfig()
        self._finders: tuple[HandPalms, HeatmapLandmarks] | None = self._config.create_finders()

    def detect(self, image_bgr: np.ndarray) -> list[Detection]:
        """See :class:`~hand_pose_ros.detection.detector.HandDetector`; images of any size.

        Raises:
            ValueError: not an image. RuntimeError: the detector is closed.
        """
        image = check_image(image_bgr)
        palms, landmarks = self._opened()
        config, frame = self._config, Frame(image, assumed_camera(image))
        find = partial(landmarks.in_palm, frame)
        return hands_of_palms(palms.find(image), find, config.min_tracking_confidence, config.max_hands)

    @property
    def palms(self) -> HandPalms:
        """The finder of palms.

        Raises:
            RuntimeError: the detector is closed.
        """
        return self._opened()[0]

    def _opened(self) -> tuple[HandPalms, HeatmapLandmarks]:
        if self._finders is None:
            raise RuntimeError("the detector is closed")
        return self._finders

    def reset(self) -> None:
        """Do nothing: images are independent."""

    def close(self) -> None:
        """Free the networks; closing again does nothing."""
        self._finders = None


def assumed_camera(image: np.ndarray) -> CameraModel:
    """A pinhole camera for an image (H, W, 3) of an unknown one: its focal length is the image's larger side."""
    height, width = image.shape[:2]
    focal = float(max(height, width))
    return CameraModel.pinhole(focal, focal, (width - 1) / 2, (height - 1) / 2, width, height)
