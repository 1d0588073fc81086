"""One frame through the package: find and number the hands, estimate, smooth, place; and how long it took."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hand_pose_ros.detection.detector import HandDetector
from hand_pose_ros.estimator.estimate import PoseEstimator
from hand_pose_ros.estimator.placement import place
from hand_pose_ros.estimator.smoothing import EstimateSmoother, PoseSmoother
from hand_pose_ros.pose import Detection, Frame, HandPose
from hand_pose_ros.tracking.frame_clock import FrameClock
from hand_pose_ros.tracking.tracker import HandTracker, NumberedDetector


@dataclass(frozen=True)
class FrameResult:
    """What one frame gave.

    hands: one pose for each of ``detections``.
    frame: what all pixels refer to, so what an overlay is drawn on and projected with: the one of the call,
        flipped back if the camera is mirrored, with the time of the pipeline's clock.
    stage_seconds: wall time of 'detect', 'estimate', 'smooth' and 'place'.
    """

    hands: list[HandPose]
    detections: list[Detection]
    frame: Frame
    stage_seconds: dict[str, float] = field(default_factory=dict)


class HandPipeline:
    """Tracker, estimator, smoothers and placement in one chain. Not thread-safe: one thread at a time."""

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
            detector: runs on every frame, and its hands are numbered; or a tracker, which does that itself.
            smoothers: what estimates pass through before they are placed, in this order.
            pose_smoothers: what placed poses pass through, in this order.
            mirrored: images come flipped left to right; the results are of the scene as it is all the same.
        """
        self._tracker = detector if isinstance(detector, HandTracker) else NumberedDetector(detector)
        self._estimator = estimator
        self._smoothers = tuple(smoothers)
        self._pose_smoothers = tuple(pose_smoothers)
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
