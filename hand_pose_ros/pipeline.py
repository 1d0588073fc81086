"""The pipeline detects, tracks, estimates, smooths and places the hands of one frame, and times each stage."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Final, Protocol

import numpy as np
import torch

from hand_pose_ros.camera.lens_check import covers
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.detection.detector import HandDetector
from hand_pose_ros.estimator.estimate import PoseEstimator
from hand_pose_ros.estimator.hand_size import HandSize
from hand_pose_ros.estimator.placement import place
from hand_pose_ros.estimator.size.population import POPULATIONS
from hand_pose_ros.estimator.size.track_sizes import TrackSizes
from hand_pose_ros.estimator.smoothing import EstimateSmoother, PoseSmoother
from hand_pose_ros.estimator.visibility import with_visibility
from hand_pose_ros.mesh.mano import ManoModel
from hand_pose_ros.mesh.mano_pose import mano_mesh
from hand_pose_ros.pose import Detection, Frame, HandPose
from hand_pose_ros.tracking.frame_clock import FrameClock
from hand_pose_ros.tracking.tracker import HandTracker, TrackingDetector

NOT_COVERED: Final = "the calibration does not cover the part of the image in which the hand is"


@dataclass(frozen=True)
class FrameResult:
    """Result of one frame.

    hands: one pose for each of ``detections``.
    frame: image and camera that all pixels refer to, for drawing overlays: the frame of the call, flipped back if
        the camera is mirrored, with the time of the pipeline's clock.
    stage_seconds: wall time of 'detect', 'estimate', 'smooth' and 'place'.
    degraded: why the pipeline runs otherwise than configured; empty if it does not.
    sizes: track id of each valid hand -> what is known of its size; None for a hand of the population.
    counts: counters of the estimator since its start, by name.
    """

    hands: list[HandPose]
    detections: list[Detection]
    frame: Frame
    stage_seconds: dict[str, float] = field(default_factory=dict)
    degraded: str = ""
    sizes: dict[int | None, HandSize | None] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


class FramePipeline(Protocol):
    """Turns frames into hands; one thread at a time."""

    def process(self, frame: Frame) -> FrameResult:
        """Find and estimate the hands of one frame; see :meth:`HandPipeline.process`."""
        ...

    def reset(self) -> None:
        """Forget all tracks."""
        ...

    @property
    def hand_size(self) -> HandSize | None:
        """The size in use for all hands; None if it is not known."""
        ...

    def set_hand_size(self, size: HandSize) -> None:
        """Use a measured size for all hands from the next frame on; :meth:`reset` keeps it."""
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
        hand_size: HandSize | None = None,
        population: str = "adults",
        mano: ManoModel | None = None,
    ) -> None:
        """Make a pipeline of its parts.

        Args:
            detector: runs on every frame, and its hands get track ids; or a tracker, which assigns them itself.
            smoothers: smooth the estimates before placement, in this order.
            pose_smoothers: smooth the placed poses, in this order.
            mirrored: images are flipped left to right; the results describe the unmirrored scene.
            hand_size: of all hands; None for the size that the estimator assumes.
            population: who may be before the camera, one of ``POPULATIONS``.
            mano: whose mesh every hand gets, posed by its joints and frames; None for the estimator's or ours.
        """
        self._mano = mano
        self._sizes = TrackSizes(hand_size, POPULATIONS[population])
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
        measurable = [covered(frame.camera, one) for one in detections]
        estimate = self._estimator.estimate(frame, list(compress(detections, measurable)))
        estimated = time.perf_counter()
        for smoother in self._smoothers:
            estimate = smoother.smooth(estimate, time_s)
        smoothed = time.perf_counter()
        estimate = self._sizes.sized(estimate)
        hands = place(estimate)
        self._sizes.observe(frame, hands)
        placed = time.perf_counter()
        for smoother in self._pose_smoothers:
            hands = smoother.smooth(hands, time_s)
        hands = with_visibility(frame.camera, hands)
        if self._mano is not None:
            hands = [replace(one, mesh=mano_mesh(one, self._mano)) if one.valid else one for one in hands]
        placed_hands = iter(hands)
        hands = [
            next(placed_hands) if known else HandPose.invalid(one, NOT_COVERED)
            for one, known in zip(detections, measurable, strict=True)
        ]
        seconds = {
            "detect": detected - start,
            "estimate": estimated - detected,
            "smooth": smoothed - estimated + time.perf_counter() - placed,
            "place": placed - smoothed,
        }
        sizes = {one.track_id: self._sizes.size(one.track_id) for one in hands if one.valid}
        return FrameResult(hands, detections, frame, seconds, sizes=sizes, counts=estimate.counts)

    def reset(self) -> None:
        """Forget all tracks."""
        parts = (
            self._tracker,
            self._estimator,
            self._sizes,
            *self._smoothers,
            *self._pose_smoothers,
            self._clock,
        )
        for part in parts:
            part.reset()

    @property
    def hand_size(self) -> HandSize | None:
        """The size in use for all hands; None if it is not known."""
        return self._sizes.given

    def set_hand_size(self, size: HandSize) -> None:
        """Use a measured size for all hands from the next frame on; :meth:`reset` keeps it."""
        self._sizes.give(size)
        for smoother in self._pose_smoothers:
            smoother.reset()  # the hand moves by the ratio of the sizes, which is no motion

    def close(self) -> None:
        """Free the detector's resources."""
        self._tracker.close()


def covered(camera: CameraModel, detection: Detection) -> bool:
    """Whether the calibration says from where every landmark of a hand is seen, or its box if it has none.

    A lens polynomial that folds back gives no rays, or wrong ones, where it was not fitted; a hand that is only
    partly seen by it would be placed at a wrong distance.
    """
    if not camera.distortion_model:
        return True
    if detection.landmarks_px is None:
        x0, y0, x1, y1 = detection.box_px
        points = np.array(((x0, y0), (x1, y0), (x0, y1), (x1, y1)))
    else:
        points = detection.landmarks_px[np.isfinite(detection.landmarks_px).all(axis=1)]
    size = np.array((camera.width, camera.height)) - 0.5
    points = points.clip(-0.5, size)  # a hand may reach out of the image
    return bool(covers(camera, torch.from_numpy(points.astype(float))).all())
