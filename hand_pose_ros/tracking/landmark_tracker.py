"""The default tracker: MediaPipe's networks, of which the one that searches the image runs only when it must."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.detection.boxes import box_around
from hand_pose_ros.detection.mediapipe.crop import RotatedSquare
from hand_pose_ros.detection.mediapipe.landmarks import CropLandmarks, LandmarkNetwork
from hand_pose_ros.detection.mediapipe.models import TfliteNetwork, read_models
from hand_pose_ros.detection.mediapipe.palms import Palm, PalmDetector
from hand_pose_ros.estimator.diffusion.image_follower import ImageFollower
from hand_pose_ros.pose import Detection, Frame
from hand_pose_ros.tracking.identities import HandIdentities, IdentityConfig
from hand_pose_ros.tracking.observation import Observation
from hand_pose_ros.tracking.search_schedule import SearchSchedule

_LEAST_IN_IMAGE = 0.35  # share of the landmarks that the image must hold
_LARGEST_GROWTH = 2.0  # of a hand from where it was expected, either way
_PALM_JOINTS = (hand.WRIST, *hand.KNUCKLES)
_SAME_PALM = 0.5  # of the palm's box, from the middle of a hand that is seen already


@dataclass(frozen=True)
class LandmarkTrackerConfig:
    """Options of :class:`LandmarkTracker`.

    model_file: path of a ``hand_landmarker.task``; empty for the networks in MediaPipe's wheel (up to 0.10.21).
    model_complexity: 0 (lite) or 1 (full) of the networks in the wheel.
    min_detection_confidence: of the palm, and of the hand's presence around it, for a new hand.
    min_tracking_confidence: of the hand's presence, to go on following it.
    box_margin: added on each side of the landmarks' box, as a share of its larger side.
    threads: of the CPU, for the networks; 0 for half of the cores, at most four.
    identity: who is who.
    """

    model_file: str = ""
    model_complexity: int = 1
    min_detection_confidence: float = 0.5
    min_tracking_confidence: float = 0.5
    box_margin: float = 0.1
    threads: int = 0
    identity: IdentityConfig = field(default_factory=IdentityConfig)

    def __post_init__(self) -> None:
        for name in ("min_detection_confidence", "min_tracking_confidence"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        if not (self.box_margin >= 0 and math.isfinite(self.box_margin)):
            raise ValueError(f"box_margin must be finite and not negative, got {self.box_margin}")


@dataclass
class TrackerCounts:
    """What a tracker did since it was made: frames, those with a hand known before, and searches in the latter."""

    frames: int = 0
    frames_following: int = 0
    searches_following: int = 0


class LandmarkTracker:
    """A :class:`~hand_pose_ros.tracking.tracker.HandTracker`; call it from one thread at a time.

    Each hand is looked for where its joints are expected, in a crop that only the landmark network sees. The
    palm detector searches the image when no hand is followed, when one was lost, and now and then for a new
    one. The score is the presence of a hand; ``landmarks_m`` are the network's: about 2 cm wrong.
    """

    def __init__(
        self, config: LandmarkTrackerConfig | None = None, follower: ImageFollower | None = None
    ) -> None:
        """Load the networks.

        Args:
            follower: what follows hands instead of the landmark network, which then only finds them.

        Raises:
            DetectorUnavailableError: LiteRT or the networks are not installed. ValueError: no usable model file.
        """
        self._config = config or LandmarkTrackerConfig()
        models = read_models(self._config.model_file, self._config.model_complexity)
        threads = self._config.threads
        self._palms: PalmDetector | None = PalmDetector(
            TfliteNetwork(models.palm, threads), self._config.min_detection_confidence
        )
        self._landmarks: LandmarkNetwork | None = LandmarkNetwork(TfliteNetwork(models.landmarks, threads))
        self._identities = HandIdentities(self._config.identity)
        self._follower = follower
        self._schedule = SearchSchedule()
        self.counts = TrackerCounts()

    def track(self, frame: Frame) -> list[Detection]:
        """See :class:`~hand_pose_ros.tracking.tracker.HandTracker`.

        Raises:
            RuntimeError: the tracker is closed.
        """
        if self._landmarks is None:
            raise RuntimeError("the tracker is closed")
        following = bool(self._identities.followed)
        max_hands = self._config.identity.max_hands
        hands = self._follow(frame) if self._follower is None else self._look(frame)
        seen = self._identities.distinct(hands)
        hidden = self._may_be_hidden(seen)
        searched = self._schedule.due(len(seen), max_hands, hidden)
        if searched:
            found = self._search(frame, seen, anew=hidden)
            hands = found if hidden and len(found) > len(seen) else hands + found
        detections = self._identities.update(hands, frame.time_s)
        if searched:
            self._schedule.found(len(detections))
        self.counts.frames += 1
        self.counts.frames_following += following
        self.counts.searches_following += following and searched
        return detections

    def reset(self) -> None:
        """Forget all hands."""
        self._identities.reset()
        self._schedule.reset()

    def close(self) -> None:
        """Free the networks; closing again does nothing."""
        self._palms = self._landmarks = None

    def _follow(self, frame: Frame) -> list[Observation]:
        """The hands that are where they are expected."""
        found = []
        for track in self._identities.followed:
            expected = track.predicted(frame.time_s)[: hand.NUM_JOINTS]
            answer = self._landmarks.find(frame.image_bgr, RotatedSquare.around_landmarks(expected))
            if answer.presence >= self._config.min_tracking_confidence and _plausible(
                answer.landmarks_px, expected, frame
            ):
                found.append(self._observation(answer))
        return found

    def _look(self, frame: Frame) -> list[Observation]:
        """The same by the follower, which knows nothing of sides."""
        found = []
        for track in self._identities.followed:
            expected = track.predicted(frame.time_s)[: hand.NUM_JOINTS]
            one = self._follower.find(frame, expected, track.side)
            if one is not None and _plausible(one.landmarks_px, expected, frame):
                found.append(Observation.of(one, 0.5))
        return found

    def _may_be_hidden(self, seen: list[Observation]) -> bool:
        """Whether a hand that is not seen may be covered by one that is."""
        followed = self._identities.followed
        return len(seen) < len(followed) and any(track.hidden for track in followed)

    def _search(self, frame: Frame, seen: list[Observation], anew: bool) -> list[Observation]:
        """The hands whose palms are in the image: those that are not seen yet, or all of them ``anew``.

        After hands have covered each other, what is seen where they are expected may be mixed from both.
        """
        most = self._config.identity.max_hands
        found: list[Observation] = []
        for palm in self._palms.find(frame.image_bgr):
            known = found if anew else seen + found
            if len(known) >= most:
                break
            if any(_is_of(palm, one) for one in known):
                continue
            answer = self._landmarks.find(
                frame.image_bgr, RotatedSquare.around_palm(palm.box_px, palm.keypoints_px)
            )
            if answer.presence >= self._config.min_detection_confidence:
                found.append(self._observation(answer))
        return self._identities.distinct(found)

    def _observation(self, answer: CropLandmarks) -> Observation:
        detection = Detection(
            side="right" if answer.right >= 0.5 else "left",
            score=answer.presence,
            box_px=box_around(answer.landmarks_px, self._config.box_margin),
            landmarks_px=answer.landmarks_px,
            landmarks_m=answer.world_m,
        )
        return Observation.of(detection, answer.right)


def _plausible(found_px: np.ndarray, expected: np.ndarray, frame: Frame) -> bool:
    """Whether a hand is in the image and about as large as expected: the network always answers something."""
    inside = ((found_px >= 0) & (found_px < (frame.camera.width, frame.camera.height))).all(axis=1)
    growth = np.ptp(found_px, axis=0).max() / max(np.ptp(expected, axis=0).max(), 1.0)
    return bool(inside.mean() >= _LEAST_IN_IMAGE and 1 / _LARGEST_GROWTH < growth < _LARGEST_GROWTH)


def _is_of(palm: Palm, observation: Observation) -> bool:
    """Whether a palm is that of an observed hand."""
    middle = observation.points_px[_PALM_JOINTS, :].mean(axis=0)
    offset = (palm.box_px[:2] + palm.box_px[2:]) / 2 - middle
    return bool(np.hypot(*offset) < _SAME_PALM * (palm.box_px[2:] - palm.box_px[:2]).max())
