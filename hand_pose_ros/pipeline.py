"""One frame through the package: find and number the hands, estimate, steady; and how long each stage took."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from hand_pose_ros.detection.detector import HandDetector
from hand_pose_ros.estimator.smoothing import PoseSmoother
from hand_pose_ros.pose import Detection, Frame, HandPose
from hand_pose_ros.tracking.frame_clock import FrameClock
from hand_pose_ros.tracking.tracker import HandTracker, NumberedDetector


class PoseEstimator(Protocol):
    """Turns detected hands into poses in the camera frame."""

    def estimate(self, frame: Frame, detections: list[Detection]) -> list[HandPose]:
        """One pose for each detection, in the same order; invalid, with a reason, where it cannot be told.

        The frame's time does not fall from call to call; nothing is kept of a frame without one.
        """

    def reset(self) -> None:
        """Forget what was learned from earlier frames."""


@dataclass(frozen=True)
class FrameResult:
    """What one frame gave.

    hands: one pose for each of ``detections``.
    frame: what all pixels refer to, so what an overlay is drawn on and projected with: the one of the call,
        flipped back if the camera is mirrored, with the time of the pipeline's clock.
    stage_seconds: wall time of 'detect', 'estimate' and 'smooth'.
    """

    hands: list[HandPose]
    detections: list[Detection]
    frame: Frame
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

    def process(self, frame: Frame) -> FrameResult:
        """Find and estimate the hands of one frame.

        Args:
            frame: as the camera gives it, mirrored or not. Without a time it is taken to be a thirtieth of a
                second later than the last one; times that repeat or run backwards are survived.

        Returns:
            Poses in the frame of the camera, or, for a mirrored one, of the lens that looks at the scene
            unmirrored.
        """
        start = time.perf_counter()
        time_s = self._clock.advance(frame.time_s)
        frame = replace(frame.mirrored() if self._mirrored else frame, time_s=time_s)
        detections = self._tracker.track(frame)
        detected = time.perf_counter()
        hands = self._estimator.estimate(frame, detections)
        estimated = time.perf_counter()
        for smoother in self._smoothers:
            hands = smoother.smooth(hands, time_s)
        seconds = {
            "detect": detected - start,
            "estimate": estimated - detected,
            "smooth": time.perf_counter() - estimated,
        }
        return FrameResult(hands, detections, frame, seconds)

    def reset(self) -> None:
        """Forget all tracks."""
        for part in (self._tracker, self._estimator, *self._smoothers, self._clock):
            part.reset()

    def close(self) -> None:
        """Free the detector's resources."""
        self._tracker.close()
