"""The tracker on two rendered hands that cross, touch, leave and return: no track id ever changes hands."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

import numpy as np
import pytest
from helpers.identity_score import IdentityScore, score
from helpers.two_hand_clips import KINDS, TwoHandFrame, cut_out_clip, rendered_clip, sides

from hand_pose_ros.detection.boxes import box_around
from hand_pose_ros.detection.detector import DetectorUnavailableError
from hand_pose_ros.detection.finders import FoundHand
from hand_pose_ros.detection.mediapipe.finders import create_finders
from hand_pose_ros.pose import Detection
from hand_pose_ros.tracking.landmark_tracker import LandmarkTracker

# A hand is found in at least this share of the frames (mean of the clips, measured by benchmarks/two_hands.py).
# One that returns is found by the next search, within half a second.
LEAST_FOUND = {"crossing": 0.7, "same_side": 0.7, "touching": 0.9, "leaving": 0.4}
SLOW = [pytest.param(range(first, first + 6), marks=pytest.mark.slow) for first in (2, 8, 14)]


def new_tracker(follow=lambda landmarks: landmarks) -> LandmarkTracker:
    try:
        palms, landmarks = create_finders(threads=1)
    except DetectorUnavailableError as error:
        pytest.skip(str(error))
    return LandmarkTracker(palms, follow(landmarks))


@pytest.fixture(scope="module")
def shared_tracker():
    with closing(new_tracker()) as tracker:
        yield tracker


@pytest.fixture
def tracker(shared_tracker):
    shared_tracker.reset()
    return shared_tracker


def checked(clip: Iterable[TwoHandFrame], tracker: LandmarkTracker, kind: str) -> IdentityScore:
    """Score a clip, in which nothing may be wrong."""
    result = score(clip, tracker, sides(kind))
    assert result.switches == 0, "a track id was seen on two hands"
    assert result.late == 0, "a hand was reported 0.3 s after it had left"
    assert result.wrong_sides == 0, "a side was wrong after the first second"
    assert result.search_share < 0.1, "the palm detector ran too often"
    if kind != "leaving":  # a hand that was away may come back as a new one
        assert [len(one) for one in result.numbers] == [1, 1], "a hand got a second track id"
    return result


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seeds", [range(2), *SLOW], ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_no_track_id_changes_hands_in_any_clip(tracker, kind, seeds):
    found = []
    for seed in seeds:
        tracker.reset()
        found.append(checked(cut_out_clip(kind, seed), tracker, kind).found)
    assert min(np.mean(found, axis=0)) > LEAST_FOUND[kind], f"a hand was not found: {found}"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_clips_of_which_every_frame_is_rendered(tracker, kind):
    result = checked(rendered_clip(kind, 100), tracker, kind)
    assert min(result.found) > LEAST_FOUND[kind], "a hand was not found"


class MixingFollower:
    """Returns the true joints, but for a hand that was covered a mixture of both hands."""

    def __init__(self) -> None:
        self.joints_px = np.empty((2, 21, 2))
        self.covered = False
        self.mixtures = 0

    def around(self, landmarks):
        self.in_palm = landmarks.in_palm
        return self

    def near(self, frame, expected_px, side):
        front, rear = self.joints_px
        between = np.linalg.norm(front - rear, axis=-1).mean() / np.ptp(front, axis=0).max()
        seen = front if side == "right" else rear
        if side == "left" and between < 0.4:
            self.covered, seen = True, front
        elif side == "left" and self.covered:
            self.mixtures += 1
            seen = (front + rear) / 2
        return FoundHand(Detection(side, 0.9, box_around(seen, 0.1), seen), 0.5)


def test_a_mixture_of_two_hands_is_not_taken_for_the_covered_one():
    follower = MixingFollower()
    with closing(new_tracker(follower.around)) as tracker:
        for one_frame in cut_out_clip("crossing", 0):
            follower.joints_px = one_frame.joints_px
            for one in tracker.track(one_frame.frame):
                truth = one_frame.joints_px[("right", "left").index(one.side)]
                error_px = np.linalg.norm(one.landmarks_px - truth, axis=-1).mean()
                assert error_px < 10, f"at {one_frame.frame.time_s:.2f} s"  # a mixture is 20 px off
                follower.covered &= one.side == "right"  # until a search has found it
    assert follower.mixtures > 0
