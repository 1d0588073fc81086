"""One frame through the package: find and number the hands, estimate, steady; and how long each stage took."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from hand_pose_ros.camera.mirroring import mirrored_camera, mirrored_image
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.detection.detector import HandDetector
from hand_pose_ros.estimator.smoothing import PoseSmoother
from hand_pose_ros.pose import Detection, HandPose
from hand_pose_ros.tracking.frame_clock import FrameClock
from hand_pose_ros.tracking.tracker import HandTracker, NumberedDetector


class PoseEstimator(Protocol):
    """Turns detected hands into poses in the camera frame."""

    def estimate(
        self,
        image_bgr: np.ndarray,
        camera: CameraModel,
        detections: list[Detection],
        time_s: float | None = None,
    ) -> list[HandPose]:
        """One pose for each detection, in the same order; invalid, with a reason, where it cannot be told.

        ``time_s``: of the frame in a video, which does not fall from call to call; None for an image of its own,
        of which nothing is kept.
        """

    def reset(self) -> None:
        """Forget what was learned from earlier frames."""


@dataclass(frozen=True)
class FrameResult:
    """What one frame gave.

    hands: one pose for each of ``detections``.
    image_bgr, camera: what all pixels refer to, so what an overlay is drawn on and projected with: those of the
        call, flipped back if the camera is mirrored.
    stage_seconds: wall time of 'detect', 'estimate' and 'smooth'.
    """

    hands: list[HandPose]
    detections: list[Detection]
    image_bgr: np.ndarray
    camera: CameraModel
    stage_seconds: dict[str, float] = field(default_factory=dict)


class HandPipeline:
    """Tracker, estimator and smoothers, one after the other. Not thread-safe: one thread at a time."""

    def __init__(
        self,
        detector: HandDetector | HandTracker,
        estimator: PoseEstimator,
        mirrored: bool = False,
        smoothers: Sequence[PoseSmoother] = (),
    ) -> None:
        """Make a pipeline of its parts.

        Args:
            detector: runs on every frame, and its hands are numbered; or a tracker, which does that itself.
            mirrored: images come flipped left to right; the results are of the scene as it is all the same.
            smoothers: what the estimated poses pass through, in this order.
        """
        self._tracker = detector if isinstance(detector, HandTracker) else NumberedDetector(detector)
        self._estimator = estimator
        self._smoothers = tuple(smoothers)
        self._clock = FrameClock()
        self._mirrored = mirrored

    def process(
        self, image_bgr: np.ndarray, camera: CameraModel, stamp_s: float | None = None
    ) -> FrameResult:
        """Find and estimate the hands of one image.

        Args:
            image_bgr: (H, W, 3) uint8, of the size that ``camera`` describes.
            camera: of the image as it is, mirrored or not.
            stamp_s: when the image was taken, seconds from any origin; None if not known, which is taken for a
                thirtieth of a second after the last one. Stamps that repeat or run backwards are survived.

        Returns:
            Poses in the frame of the camera, or, for a mirrored one, of the lens that looks at the scene
            unmirrored.

        Raises:
            ValueError: the image has another type, shape or size, or the stamp is not finite.
        """
        expected = (camera.height, camera.width, 3)
        if image_bgr.dtype != np.uint8 or image_bgr.shape != expected:
            raise ValueError(
                f"the image must be uint8 of shape {expected}, as its camera says, "
                f"got {image_bgr.dtype} of shape {image_bgr.shape}"
            )
        start = time.perf_counter()
        time_s = self._clock.advance(stamp_s)
        if self._mirrored:
            image_bgr, camera = mirrored_image(image_bgr), mirrored_camera(camera)
        detections = self._tracker.track(image_bgr, time_s, camera)
        detected = time.perf_counter()
        hands = self._estimator.estimate(image_bgr, camera, detections, time_s)
        estimated = time.perf_counter()
        for smoother in self._smoothers:
            hands = smoother.smooth(hands, time_s)
        seconds = {
            "detect": detected - start,
            "estimate": estimated - detected,
            "smooth": time.perf_counter() - estimated,
        }
        return FrameResult(hands, detections, image_bgr, camera, seconds)

    def reset(self) -> None:
        """Forget all tracks."""
        for part in (self._tracker, self._estimator, *self._smoothers, self._clock):
            part.reset()

    def close(self) -> None:
        """Free the detector's resources."""
        self._tracker.close()
