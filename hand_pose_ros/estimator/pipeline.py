"""One frame through the package: detect, number the hands, estimate, measure how long each stage took."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from hand_pose_ros.camera.mirroring import mirrored_camera, mirrored_image
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.detection.association import Associator
from hand_pose_ros.detection.detector import HandDetector
from hand_pose_ros.pose import Detection, HandPose


class PoseEstimator(Protocol):
    """Turns detected hands into poses in the camera frame."""

    def estimate(
        self, image_bgr: np.ndarray, camera: CameraModel, detections: list[Detection]
    ) -> list[HandPose]:
        """One pose for each detection, in the same order; invalid, with a reason, where it cannot be told."""

    def reset(self) -> None:
        """Forget what was learned from earlier frames."""


@dataclass(frozen=True)
class FrameResult:
    """What one frame gave.

    hands: one pose for each of ``detections``.
    image_bgr, camera: what all pixels refer to, so what an overlay is drawn on and projected with: those of the
        call, flipped back if the camera is mirrored.
    stage_seconds: wall time of 'detect' and 'estimate'.
    """

    hands: list[HandPose]
    detections: list[Detection]
    image_bgr: np.ndarray
    camera: CameraModel
    stage_seconds: dict[str, float] = field(default_factory=dict)


class HandPipeline:
    """Detector and estimator, called one after the other. Not thread-safe: call it from one thread at a time."""

    def __init__(self, detector: HandDetector, estimator: PoseEstimator, mirrored: bool = False) -> None:
        """``mirrored``: images come flipped left to right; the results are of the scene as it is all the same."""
        self._detector = detector
        self._estimator = estimator
        self._associator = Associator()
        self._mirrored = mirrored

    def process(self, image_bgr: np.ndarray, camera: CameraModel) -> FrameResult:
        """Find and estimate the hands of one image.

        Args:
            image_bgr: (H, W, 3) uint8, of the size that ``camera`` describes.
            camera: of the image as it is, mirrored or not.

        Returns:
            Poses in the frame of the camera, or, for a mirrored one, of the lens that looks at the scene
            unmirrored.

        Raises:
            ValueError: the image has another type, shape or size.
        """
        expected = (camera.height, camera.width, 3)
        if image_bgr.dtype != np.uint8 or image_bgr.shape != expected:
            raise ValueError(
                f"the image must be uint8 of shape {expected}, as its camera says, "
                f"got {image_bgr.dtype} of shape {image_bgr.shape}"
            )
        start = time.perf_counter()
        if self._mirrored:
            image_bgr, camera = mirrored_image(image_bgr), mirrored_camera(camera)
        detections = self._associator.update(self._detector.detect(image_bgr))
        detected = time.perf_counter()
        hands = self._estimator.estimate(image_bgr, camera, detections)
        estimated = time.perf_counter()
        seconds = {"detect": detected - start, "estimate": estimated - detected}
        return FrameResult(hands, detections, image_bgr, camera, seconds)

    def reset(self) -> None:
        """Forget all tracks."""
        self._detector.reset()
        self._associator.reset()
        self._estimator.reset()

    def close(self) -> None:
        """Free the detector's resources."""
        self._detector.close()
