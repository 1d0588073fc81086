"""Who is who on a clip with exact truth, and whether a number ever passed from one hand to the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from hand_pose_ros.tracking.landmark_tracker import LandmarkTracker
from helpers.two_hand_clips import CAMERA, TwoHandFrame

_CLEAR = 0.25  # of the hand's size: mean distance of the joints to a true hand's, to be that hand
_APART = (
    0.3  # of the hand's size: two true hands that are nearer cannot be told from each other by their place
)
_GONE_S = 0.3


@dataclass
class IdentityScore:
    """What a tracker did with a clip.

    switches: how often a number was seen on another hand than before. numbers: the numbers of each true hand.
    found: shares of the frames with the hand in the image in which it was reported. late: frames that reported a
    hand that had left more than 0.3 s before. wrong_sides: reports with the wrong side after the first second.
    """

    switches: int = 0
    numbers: list[set[int]] = field(default_factory=lambda: [set(), set()])
    found: list[float] = field(default_factory=list)
    late: int = 0
    search_share: float = 0.0
    wrong_sides: int = 0


def score(
    clip: Iterable[TwoHandFrame], tracker: LandmarkTracker, sides: tuple[str, str] | None = None
) -> IdentityScore:
    """Run a tracker over a clip of two hands."""
    result, owner = IdentityScore(), {}
    in_image, reported, last_in_s = np.zeros(2), np.zeros(2), np.zeros(2)
    before = (tracker.counts.frames_following, tracker.counts.searches_following)
    for one_frame in clip:
        frame, joints_px = one_frame.frame, one_frame.joints_px
        inside = inside_image(joints_px)
        last_in_s[inside > 0] = frame.time_s
        size = np.ptp(joints_px, axis=1).max()
        between = np.linalg.norm(joints_px[0] - joints_px[1], axis=-1).mean() / size
        in_image += (inside > 0.8) & (between >= _APART)
        detections = tracker.track(frame)
        gone = (frame.time_s - last_in_s > _GONE_S).sum()
        result.late += len(detections) > 2 - gone
        for one in detections:
            apart = np.linalg.norm(joints_px - one.landmarks_px, axis=-1).mean(axis=-1) / size
            index = int(apart.argmin())
            if apart[index] > _CLEAR or apart[1 - index] < 1.5 * apart[index] or between < _APART:
                continue  # it cannot be told which hand it is
            reported[index] += inside[index] > 0.8
            result.switches += owner.setdefault(one.track_id, index) != index
            owner[one.track_id] = index
            result.numbers[index].add(one.track_id)
            if sides is not None and frame.time_s > 1.0:
                result.wrong_sides += one.side != sides[index]
    result.found = (reported / np.maximum(in_image, 1)).round(3).tolist()
    frames, searches = tracker.counts.frames_following, tracker.counts.searches_following
    result.search_share = (searches - before[1]) / max(frames - before[0], 1)
    return result


def inside_image(joints_px: np.ndarray) -> np.ndarray:
    """(hands,) shares of the joints (hands, 21, 2) that lie in the image."""
    return ((joints_px >= 0) & (joints_px < (CAMERA.width, CAMERA.height))).all(axis=-1).mean(axis=-1)
