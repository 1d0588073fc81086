"""The tracker with made-up finders: who is asked for what, and whose answers are believed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.detection import detection
from helpers.frames import blank_frame

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.detection.boxes import box_around
from hand_pose_ros.detection.finders import FoundHand, Palm
from hand_pose_ros.tracking.identities import IdentityConfig
from hand_pose_ros.tracking.landmark_tracker import LandmarkTracker, LandmarkTrackerConfig

CAMERA = CameraModel.from_fov(640, 480, 1.0)
PLACES = ((150.0, 200.0), (450.0, 200.0))


class Finders:
    """Palms and landmarks of hands that stand still; ``score`` is what each hand gets."""

    def __init__(self, count=1):
        self.hands = [detection(place) for place in PLACES[:count]]
        self.score, self.searches, self.asked, self.sure, self.right = 0.9, 0, [], [], 1.0

    def find(self, image_bgr):
        self.searches += 1
        return [Palm(one.box_px, np.tile(one.landmarks_px[0], (7, 1)), 0.9) for one in self.hands]

    def in_palm(self, frame, palm):
        self.asked.append("palm")
        middle = (palm.box_px[:2] + palm.box_px[2:]) / 2
        return self._nearest(middle)

    def near(self, frame, expected_px, side, is_sure=True):
        self.asked.append(side)
        self.sure.append(is_sure)
        return self._nearest(expected_px.mean(0))

    def _nearest(self, point):
        best = min(self.hands, key=lambda one: np.linalg.norm(one.landmarks_px.mean(0) - point))
        return FoundHand(replace(best, score=self.score), self.right)


def tracked(finders, frames, **options):
    tracker = LandmarkTracker(finders, finders, LandmarkTrackerConfig(**options))
    return tracker, [tracker.track(blank_frame(CAMERA, number / 30)) for number in range(frames)]


def test_a_hand_is_found_by_its_palm_and_followed_by_its_landmarks():
    finders = Finders()
    _, found = tracked(finders, 6, identity=IdentityConfig(max_hands=1))
    assert finders.searches == 1
    assert finders.asked == ["palm"] + ["right"] * 5
    assert [[one.track_id for one in hands] for hands in found] == [[0]] * 6


def test_the_side_is_asked_for_until_it_is_sure_and_again_when_that_was_long_ago():
    finders = Finders()
    tracker, _ = tracked(finders, 20, identity=IdentityConfig(max_hands=1))
    assert finders.sure[0] is False
    assert finders.sure[-1] is True
    assert finders.sure == sorted(finders.sure)
    finders.right = 0.5  # a finder that tells no side
    for number in range(20, 200):
        tracker.track(blank_frame(CAMERA, number / 30))
    assert finders.sure[-1] is False


def test_two_hands_are_each_found_once():
    finders = Finders(2)
    tracker, found = tracked(finders, 5)
    assert finders.searches == 1
    assert [len(hands) for hands in found] == [2] * 5
    assert tracker.counts.frames == 5
    assert tracker.counts.searches_following == 0


@pytest.mark.parametrize(("score", "count"), [(0.4, 0), (0.6, 1)])
def test_new_hands_below_the_confidence_are_not_believed(score, count):
    finders = Finders()
    finders.score = score
    _, found = tracked(finders, 3, min_detection_confidence=0.5)
    assert len(found[-1]) == count


def test_a_hand_whose_presence_falls_is_lost_and_searched_for():
    finders = Finders()
    tracker, _ = tracked(finders, 3, min_tracking_confidence=0.5)
    finders.score = 0.3
    assert tracker.track(blank_frame(CAMERA, 0.1)) == []
    assert finders.searches == 2
    tracker.close()
    with pytest.raises(RuntimeError, match="closed"):
        tracker.track(blank_frame(CAMERA, 0.2))


class CrossingFinders:
    """A left hand passes behind a right one. From then on a mixture of both is seen in its place.

    Only a search finds it again.
    """

    def __init__(self):
        self.front, self.covered, self.mixtures = detection((300.0, 200.0), 150.0), False, 0
        self.move(0)

    def move(self, number):
        x = 550.0 - 10 * number
        self.rear, self.close = detection((x, 200.0), 150.0, "left"), abs(x - 300) < 60

    def find(self, image_bgr):
        hands = [self.front] if self.close else [self.front, self.rear]
        return [Palm(one.box_px, np.tile(one.landmarks_px[0], (7, 1)), 0.9) for one in hands]

    def in_palm(self, frame, palm):
        if palm.box_px is self.front.box_px:
            return FoundHand(self.front, 1.0)
        self.covered = False
        return FoundHand(self.rear, 0.0)

    def near(self, frame, expected_px, side, is_sure=True):
        if side == "right":
            return FoundHand(self.front, 1.0)
        if self.close:
            self.covered = True
            return FoundHand(self.front, 1.0)
        if not self.covered:
            return FoundHand(self.rear, 0.0)
        self.mixtures += 1
        between = (self.front.landmarks_px + self.rear.landmarks_px) / 2
        return FoundHand(replace(self.rear, box_px=box_around(between, 0.1), landmarks_px=between), 0.2)


def test_a_mixture_of_two_hands_is_not_taken_for_the_covered_one():
    finders = CrossingFinders()
    tracker = LandmarkTracker(finders, finders)
    found = {}
    for number in range(50):
        finders.move(number)
        found = {one.track_id: one for one in tracker.track(blank_frame(CAMERA, number / 30))}
        assert found[0].landmarks_px is finders.front.landmarks_px
        assert 1 not in found or found[1].landmarks_px is finders.rear.landmarks_px
    assert finders.mixtures > 0
    assert found.keys() == {0, 1}
