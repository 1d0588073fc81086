"""The pipeline detects, tracks, estimates, smooths and places the hands of one frame, and times each stage."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from hand_pose_ros.detection.detector import HandDetector
from hand_pose_ros.estimator.estimate import PoseEstimator
from hand_pose_ros.estimator.placement import place
from hand_pose_ros.estimator.smoothing import EstimateSmoother, PoseSmoother
from hand_pose_ros.pose import Detection, Frame, HandPose
from hand_pose_ros.tracking.frame_clock import FrameClock
from hand_pose_ros.tracking.tracker import HandTracker, TrackingDetector


@dataclass(frozen=True)
class FrameResult:
    """Result of one frame.

    hands: one pose for each of ``detections``.
    frame: image and camera that all pixels refer to, for drawing overlays: the frame of the call, flipped back if
        the camera is mirrored, with the time of the pipeline's clock.
    stage_seconds: wall time of 'detect', 'estimate', 'smooth' and 'place'.
    degraded: why the pipeline runs otherwise than configured; empty if it does not.
    """

    hands: list[HandPose]
    detections: list[Detection]
    frame: Frame
    stage_seconds: dict[str, float] = field(default_factory=dict)
    degraded: str = ""


class FramePipeline(Protocol):
    """Turns frames into hands; one thread at a time."""

    def process(self, frame: Frame) -> FrameResult:
        """Find and estimate the hands of one frame; see :meth:`HandPipeline.process`."""
        ...

    def reset(self) -> None:
        """Forget all tracks."""
        ...

    def close(self) -> None:
        """Free the detector's resources."""
        ...


class HandPipeline:
    """A :class:`FramePipeline` of tracker, estimator, smoothers and placement in one chain."""

    def __init__(
        self,
        detector: HandDetector | HandTracker,
        estimator: PoseEstimator,
        smoothers: Sequence[EstimateSmoother] = (),
        pose_smoothers: Sequence[PoseSmoother] = (),
        mirrored: bool = False,
    ) -> None:
        """Make a pipeline of its parts.

        Args:
            detector: runs on every frame, and its hands get track ids; or a tracker, which assigns them itself.
            smoothers: smooth the estimates before placement, in this order.
            pose_smoothers: smooth the placed poses, in this order.
            mirrored: images are flipped left to right; the results describe the unmirrored scene.
        """
        self._tracker = detector if isinstance(detector, HandTracker) else TrackingDetector(detector)
        self._estimator = estimator
        self._smoothers = tuple(smoothers)
        self._pose_smoothers = tuple(pose_smoothers)
        self._clock = FrameClock()
        self._mirrored = mirrored

    def process(self, frame: Frame) -> FrameResult:
        """Find and estimate the hands of one frame.

        Args:
            frame: from the camera, mirrored or not. Without a time it counts as a thirtieth of a second later than
                the last one; times may repeat or run backwards.

        Returns:
            Poses in the frame of the camera; of the unmirrored camera if ``mirrored``.
        """
        start = time.perf_counter()
        time_s = self._clock.advance(frame.time_s)
        frame = replace(frame.mirrored() if self._mirrored else frame, time_s=time_s)
        detections = self._tracker.track(frame)
        detected = time.perf_counter()
        estimate = self._estimator.estimate(frame, detections)
        estimated = time.perf_counter()
        for smoother in self._smoothers:
            estimate = smoother.smooth(estimate, time_s)
        smoothed = time.perf_counter()
        hands = place(estimate)
        placed = time.perf_counter()
        for smoother in self._pose_smoothers:
            hands = smoother.smooth(hands, time_s)
        seconds = {
            "detect": detected - start,
            "estimate": estimated - detected,
            "smooth": smoothed - estimated + time.perf_counter() - placed,
            "place": placed - smoothed,
        }
        return FrameResult(hands, detections, frame, seconds)

    def reset(self) -> None:
        """Forget all tracks."""
        for part in (self._tracker, self._estimator, *self._smoothers, *self._pose_smoothers, self._clock):
            part.reset()

    def close(self) -> None:
        """Free the detector's resources."""
        self._tracker.close()
