"""The default tracker runs the landmark finder on every frame and the palm finder only when needed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.detection.finders import LandmarkFinder, Palm, PalmFinder
from hand_pose_ros.pose import Detection, Frame
from hand_pose_ros.tracking.identities import HandIdentities, IdentityConfig
from hand_pose_ros.tracking.observation import Observation
from hand_pose_ros.tracking.scene_change import SceneChange
from hand_pose_ros.tracking.search_schedule import SearchSchedule

_LEAST_IN_IMAGE = 0.35  # share of the landmarks that the image must hold
_SURE = 0.1  # certainty of a track's side from which a finder need not tell it
_LARGEST_GROWTH = 2.0  # of a hand from where it was expected, either way
_PALM_JOINTS = (hand.WRIST, *hand.KNUCKLES)
_SAME_PALM = 0.5  # of the palm's box, from the middle of a hand that is seen already


@dataclass(frozen=True)
class LandmarkTrackerConfig:
    """Options of :class:`LandmarkTracker`.

    min_detection_confidence: of the hand's presence around a palm, for a new hand.
    min_tracking_confidence: of the hand's presence, to go on following it.
    identity: who is who.
    """

    min_detection_confidence: float = 0.5
    min_tracking_confidence: float = 0.5
    identity: IdentityConfig = field(default_factory=IdentityConfig)

    def __post_init__(self) -> None:
        for name in ("min_detection_confidence", "min_tracking_confidence"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")


@dataclass
class TrackerCounts:
    """Counters of a tracker: frames, those with a hand known before, and searches in the latter."""

    frames: int = 0
    frames_following: int = 0
    searches_following: int = 0


class LandmarkTracker:
    """A :class:`~hand_pose_ros.tracking.tracker.HandTracker`; call it from one thread at a time.

    Each hand is looked for where its joints are expected, by the finder of landmarks. The finder of palms searches
    the image when no hand is followed, when one was lost, when something else changes, and now and then for a new
    one. The score is the presence of a hand.
    """

    def __init__(
        self, palms: PalmFinder, landmarks: LandmarkFinder, config: LandmarkTrackerConfig | None = None
    ) -> None:
        """Make a tracker that runs these finders."""
        self._config = config or LandmarkTrackerConfig()
        self._finders: tuple[PalmFinder, LandmarkFinder] | None = palms, landmarks
        self._identities = HandIdentities(self._config.identity)
        self._schedule = SearchSchedule()
        self._change = SceneChange()
        self.counts = TrackerCounts()

    def track(self, frame: Frame) -> list[Detection]:
        """See :class:`~hand_pose_ros.tracking.tracker.HandTracker`.

        Raises:
            RuntimeError: the tracker is closed.
        """
        if self._finders is None:
            raise RuntimeError("the tracker is closed")
        palms, landmarks = self._finders
        time_s = frame.stamped_s
        following = len(self._identities.followed)
        hands = self._follow(frame, landmarks)
        seen = self._identities.distinct(hands)
        hidden = len(seen) < following and self._identities.may_cover(time_s)
        searched = self._schedule.due(
            len(seen),
            self._config.identity.max_hands,
            hidden,
            changed=lambda: self._change.changed(frame.image_bgr, seen),
        )
        if searched:
            found = self._search(frame, seen, palms, landmarks, anew=hidden)
            hands = found if hidden and len(found) > len(seen) else hands + found
            if hands:  # with none in view every frame is searched
                self._change.searched(frame.image_bgr, hands)
        detections = self._identities.update(hands, time_s)
        if searched:
            self._schedule.found(len(detections))
        self.counts.frames += 1
        self.counts.frames_following += following > 0
        self.counts.searches_following += following > 0 and searched
        return detections

    def reset(self) -> None:
        """Forget all hands."""
        self._identities.reset()
        self._schedule.reset()
        self._change.reset()

    def close(self) -> None:
        """Let go of the finders; closing again does nothing."""
        self._finders = None

    def _follow(self, frame: Frame, landmarks: LandmarkFinder) -> list[Observation]:
        """Observe the followed hands at their predicted places.

        At the place of a hidden hand the finder may show the hand that covers it, or a mixture of both. The answer
        counts only if it is clear of the other hands; a search finds the hidden hand otherwise.
        """
        found, reappeared = [], []
        for track in self._identities.followed:
            expected = track.predicted(frame.stamped_s)[: hand.NUM_JOINTS]
            is_sure = abs(track.side_certainty) > _SURE
            one = landmarks.near(frame, expected, track.side, is_sure)
            if (
                one is not None
                and one.detection.score >= self._config.min_tracking_confidence
                and one.detection.landmarks_px is not None
                and _plausible(one.detection.landmarks_px, expected, frame)
            ):
                (reappeared if track.hidden else found).append(Observation.of(*one))
        return found + [one for one in reappeared if self._identities.is_clear(one, found)]

    def _search(
        self,
        frame: Frame,
        seen: list[Observation],
        palms: PalmFinder,
        landmarks: LandmarkFinder,
        anew: bool,
    ) -> list[Observation]:
        """The hands whose palms are in the image: those that are not seen yet, or all of them ``anew``.

        After hands have covered each other, what is seen where they are expected may be mixed from both.
        """
        most = self._config.identity.max_hands
        found: list[Observation] = []
        for palm in palms.find(frame.image_bgr):
            known = found if anew else seen + found
            if len(known) >= most:
                break
            if any(_is_of(palm, one) for one in known):
                continue
            one = landmarks.in_palm(frame, palm)
            if one is not None and one.detection.score >= self._config.min_detection_confidence:
                found.append(Observation.of(*one))
        return self._identities.distinct(found)


def _plausible(found_px: np.ndarray, expected: np.ndarray, frame: Frame) -> bool:
    """Whether a hand is in the image and about as large as expected: a finder always answers something."""
    inside = ((found_px >= 0) & (found_px < (frame.camera.width, frame.camera.height))).all(axis=1)
    growth = np.ptp(found_px, axis=0).max() / max(np.ptp(expected, axis=0).max(), 1.0)
    return bool(inside.mean() >= _LEAST_IN_IMAGE and 1 / _LARGEST_GROWTH < growth < _LARGEST_GROWTH)


def _is_of(palm: Palm, observation: Observation) -> bool:
    """Whether a palm is that of an observed hand."""
    middle = observation.points_px[_PALM_JOINTS, :].mean(axis=0)
    offset = (palm.box_px[:2] + palm.box_px[2:]) / 2 - middle
    return bool(np.hypot(*offset) < _SAME_PALM * (palm.box_px[2:] - palm.box_px[:2]).max())
