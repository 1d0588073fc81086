"""Track numbers on synthetic tracks: they stay with their hand, and no number ever jumps to another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from detection_helpers import detection
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_pose_ros.detection.association import Associator


def ids(associator: Associator, *found) -> list[int]:
    return [one.track_id for one in associator.update(found)]


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.sampled_from((0.0, 0.2)))
@settings(max_examples=30, deadline=None)
def test_numbers_stay_with_hands_that_do_not_cross(seed, num_hands, missing):
    generator = np.random.default_rng(seed)
    associator = Associator(max_missed_frames=40)
    size, truth_of = 150.0, {}
    places = np.stack((400.0 * np.arange(num_hands), np.full(num_hands, 300.0)), axis=1)
    for _ in range(40):
        places += generator.uniform(-1, 1, places.shape) * (8.0, 40.0)
        seen = [hand for hand in generator.permutation(num_hands) if generator.random() > missing]
        found = [
            detection(tuple(places[hand]), size, generator.choice(("left", "right")), generator.random())
            for hand in seen
        ]
        numbered = associator.update(found)
        assert [one.score for one in numbered] == [one.score for one in found]
        for hand, one in zip(seen, numbered, strict=True):
            # One number never means two hands; without gaps one hand has only one number.
            assert truth_of.setdefault(one.track_id, hand) == hand
    if not missing:
        assert len(truth_of) == num_hands


def test_a_jump_gives_a_new_number_and_no_number_comes_back():
    associator = Associator()
    assert ids(associator, detection((100, 100))) == [0]
    assert ids(associator, detection((900, 100))) == [1]
    assert ids(associator, detection((100, 100)), detection((900, 100))) == [0, 1]
    associator.reset()
    assert ids(associator, detection((100, 100))) == [2]


@pytest.mark.parametrize(("gap", "expected"), [(0, 0), (3, 0), (4, 1)])
def test_a_missing_hand_keeps_its_number_for_max_missed_frames(gap, expected):
    associator = Associator(max_missed_frames=3)
    associator.update([detection()])
    for _ in range(gap):
        assert associator.update([]) == []
    assert ids(associator, detection()) == [expected]


def test_touching_hands_keep_their_numbers_by_side():
    associator = Associator()
    left, right = detection((200, 200), side="left"), detection((280, 200), side="right")
    assert ids(associator, left, right) == [0, 1]
    # Both step to where the other one was nearest.
    moved = [detection((245, 200), side="left"), detection((325, 200), side="right")]
    assert ids(associator, *moved[::-1]) == [1, 0]


def test_a_mistaken_side_does_not_change_the_number():
    associator = Associator()
    sides = ("right", "right", "left", "right")
    assert [ids(associator, detection((200 + 5 * k, 200), side=s)) for k, s in enumerate(sides)] == [[0]] * 4


def test_two_hands_of_one_side_have_two_numbers():
    associator = Associator()
    pair = [detection((200, 200)), detection((500, 200))]
    assert ids(associator, *pair) == [0, 1]
    assert ids(associator, *pair[::-1]) == [1, 0]


def test_everything_else_of_a_detection_is_kept():
    found = replace(detection(), landmarks_m=np.zeros((21, 3)), track_id=77)
    (numbered,) = Associator().update([found])
    assert numbered.track_id == 0
    assert numbered.landmarks_px is found.landmarks_px
    assert numbered.landmarks_m is found.landmarks_m


def test_refuses_a_negative_number_of_frames():
    with pytest.raises(ValueError, match="max_missed_frames must be at least 0, got -1"):
        Associator(-1)
