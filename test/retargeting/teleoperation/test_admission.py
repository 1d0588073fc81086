"""Admission: which hand counts, and every reason why none does."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.teleoperation import observed, view

from hand_pose_ros.retargeting.teleoperation.admission import AdmissionOptions, HandAdmission
from hand_pose_ros.retargeting.teleoperation.observed_hand import ObservedHand


@pytest.fixture
def admission() -> HandAdmission:
    return HandAdmission(AdmissionOptions())


def locked(track_id: int | None = 3) -> HandAdmission:
    result = HandAdmission(AdmissionOptions())
    assert result.admit(view(observed(track_id=track_id), stamp_s=10.0), 10.0).hand is not None
    result.lock()
    return result


def test_unlocked_the_best_hand_of_the_side_is_taken(admission):
    weak, strong = observed(track_id=1, score=0.5), observed(track_id=2, score=0.8)
    other = observed(side="left", track_id=4, score=1.0)
    assert admission.admit(view(weak, other, strong, stamp_s=1.0), 1.0).hand is strong
    assert admission.admit(view(weak, stamp_s=1.1), 1.1).hand is weak
    nothing = admission.admit(view(other, stamp_s=1.2), 1.2)
    assert (nothing.hand, nothing.reason, nothing.doubtful) == (None, "no right hand in view", False)


@pytest.mark.parametrize(
    ("stamp_s", "clock_s", "reason"),
    [
        (None, 10.0, "no time stamps"),
        (float("nan"), 10.0, "no time stamps"),
        (10.1, 10.6, "0.50 s old"),
        (10.3, 10.1, "0.20 s in the future"),
        (10.0, 10.1, "repeats the stamp"),
        (9.9, 10.1, "went back by 0.10 s"),
    ],
)
def test_a_doubtful_stamp_is_named(stamp_s, clock_s, reason):
    admission = locked()
    result = admission.admit(view(observed(), stamp_s=stamp_s), clock_s)
    assert result.hand is None
    assert result.doubtful
    assert reason in result.reason


def test_after_a_jump_of_the_clock_the_stamps_may_go_on_from_there():
    admission = locked()
    assert admission.admit(view(observed(), stamp_s=5.0), 5.0).doubtful
    assert admission.admit(view(observed(), stamp_s=5.03), 5.03).hand is not None


def test_locked_only_the_same_track_counts():
    admission = locked()
    second_person = observed(track_id=7, score=1.0)
    result = admission.admit(view(second_person, stamp_s=10.03), 10.03)
    assert result.doubtful
    assert result.reason == "the right hand (track 3) is gone; in view is the right hand (track 7)"
    both = admission.admit(view(second_person, observed(score=0.1), stamp_s=10.06), 10.06)
    assert both.hand.track_id == 3
    empty = admission.admit(view(stamp_s=10.09), 10.09)
    assert (empty.doubtful, empty.reason) == (False, "the right hand (track 3) is not in view")
    admission.unlock()
    assert admission.admit(view(second_person, stamp_s=10.12), 10.12).hand.track_id == 7


def test_a_flip_of_the_side_is_a_doubt():
    result = locked().admit(view(observed(side="left"), stamp_s=10.03), 10.03)
    assert (result.doubtful, result.reason) == (True, "the right hand (track 3) is now a left hand")


@pytest.mark.parametrize("track_id", [3, None])
def test_a_jump_is_another_hand(track_id):
    admission = locked(track_id)
    far = observed(track_id=track_id, wrist_m=(0.4, 0.0, 0.5))
    result = admission.admit(view(far, stamp_s=10.03), 10.03)
    assert result.doubtful
    assert "jumped by 0.40 m" in result.reason
    near = observed(track_id=track_id, wrist_m=(0.1, 0.0, 0.5))
    assert admission.admit(view(near, stamp_s=10.06), 10.06).hand is near
    # However long it was gone: it must come back nearby.
    very_far = observed(track_id=track_id, wrist_m=(1.2, 0.0, 0.5))
    assert admission.admit(view(very_far, stamp_s=60.0), 60.0).doubtful


def test_impossible_hands_are_doubtful(admission):
    joints = observed().joints_m.copy()
    joints[7] = np.nan
    broken = ObservedHand("right", joints, np.full(21, 0.01))
    assert "not finite" in admission.admit(view(broken, stamp_s=1.0), 1.0).reason
    tiny = ObservedHand("right", observed().joints_m * 0.1, np.full(21, 0.01))
    assert (
        "the palm of the right hand is 0.009 m long" in admission.admit(view(tiny, stamp_s=1.1), 1.1).reason
    )
    with pytest.raises(ValueError, match="joints_m must have shape"):
        ObservedHand("right", joints[:20], np.full(21, 0.01))


def test_a_weak_hand_is_not_followed_but_no_doubt():
    admission = HandAdmission(AdmissionOptions(min_score=0.5))
    result = admission.admit(view(observed(score=0.4), stamp_s=1.0), 1.0)
    assert (result.hand, result.doubtful) == (None, False)
    assert "the score of the right hand (track 3) is 0.40" in result.reason
