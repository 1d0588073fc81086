"""Suppression of duplicates: one hand comes out once and two hands come out as two, whatever their sides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.detection import detection
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_pose_ros.detection.boxes import box_around, box_iou
from hand_pose_ros.detection.suppression import same_hand, suppress_duplicates
from hand_pose_ros.pose import Detection

MANY = 100
places = st.integers(0, 400).map(float)
detections = st.lists(
    st.builds(
        detection,
        st.tuples(places, places),
        st.sampled_from((80.0, 150.0, 200.0)),
        st.sampled_from(("left", "right")),
        st.integers(0, 100).map(lambda percent: percent / 100),
        st.booleans(),
    ),
    max_size=8,
)


def slow_suppression(found: list[Detection], max_hands: int) -> list[Detection]:
    kept: list[Detection] = []
    for one in sorted(found, key=lambda d: d.score, reverse=True):
        if not any(same_hand(better, one) for better in kept):
            kept.append(one)
    return kept[:max_hands]


@given(detections, st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_equals_the_obvious_version(found, max_hands):
    fast = suppress_duplicates(found, max_hands)
    slow = slow_suppression(found, max_hands)
    assert [id(one) for one in fast] == [id(one) for one in slow]


@given(detections)
@settings(max_examples=60, deadline=None)
def test_best_first_without_duplicates_and_idempotent(found):
    kept = suppress_duplicates(found, MANY)
    assert [one.score for one in kept] == sorted((one.score for one in kept), reverse=True)
    assert not any(same_hand(a, b) for i, a in enumerate(kept) for b in kept[:i])
    assert suppress_duplicates(kept, MANY) == kept
    if found:
        assert kept[0].score == max(one.score for one in found)
    for dropped in (one for one in found if not any(one is other for other in kept)):
        assert any(better.score >= dropped.score and same_hand(better, dropped) for better in kept)


@given(detections, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_input_does_not_matter(found, random):
    found = [replace(one, score=0.9 - 0.01 * index) for index, one in enumerate(found)]
    shuffled = random.sample(found, len(found))
    assert [id(one) for one in suppress_duplicates(shuffled, MANY)] == [
        id(one) for one in suppress_duplicates(found, MANY)
    ]


@given(detections, st.sampled_from((0.25, 4.0)), st.tuples(places, places))
@settings(max_examples=40, deadline=None)
def test_scaling_or_moving_the_image_changes_nothing(found, scale, shift):
    shift = np.array(shift)
    moved = [
        replace(
            one,
            box_px=one.box_px * scale + np.tile(shift, 2),
            landmarks_px=None if one.landmarks_px is None else one.landmarks_px * scale + shift,
        )
        for one in found
    ]
    before, after = suppress_duplicates(found, MANY), suppress_duplicates(moved, MANY)
    positions = {id(one): index for index, one in enumerate(found)}
    positions_after = {id(one): index for index, one in enumerate(moved)}
    assert [positions[id(one)] for one in before] == [positions_after[id(one)] for one in after]


@pytest.mark.parametrize("with_landmarks", [True, False])
@pytest.mark.parametrize("other_side", ["left", "right"])
def test_the_same_hand_reported_twice_comes_out_once(with_landmarks, other_side):
    generator = np.random.default_rng(0)
    first = detection(side="right", score=0.8)
    jitter = generator.normal(0, 4, (21, 2))  # 2 % of the hand
    marks = first.landmarks_px + jitter
    second = Detection(other_side, 0.6, box_around(marks, 0.1), marks)
    pair = [first, second] if with_landmarks else [replace(one, landmarks_px=None) for one in (first, second)]
    assert suppress_duplicates(pair, 2) == [pair[0]]


@pytest.mark.parametrize("with_landmarks", [True, False])
def test_touching_hands_of_different_sides_both_survive(with_landmarks):
    left = detection((200.0, 200.0), side="left", with_landmarks=with_landmarks)
    width = left.box_px[2] - left.box_px[0]
    right = detection((200.0 + 0.7 * width, 200.0), side="right", with_landmarks=with_landmarks)
    assert box_iou(left.box_px, right.box_px[None])[0] > 0.1
    assert len(suppress_duplicates([left, right], 2)) == 2


def test_folded_hands_survive_although_their_boxes_are_nearly_the_same():
    right = detection(side="right")
    turned = 2 * right.landmarks_px.mean(axis=0) - right.landmarks_px
    left = Detection("left", 0.8, right.box_px + 5, turned)
    assert box_iou(left.box_px, right.box_px[None])[0] > 0.8
    assert len(suppress_duplicates([left, right], 2)) == 2


def test_two_people_s_right_hands_both_come_out():
    assert len(suppress_duplicates([detection((150, 200)), detection((400, 200))], 2)) == 2


def test_a_second_fit_to_the_same_hand_is_dropped_although_its_landmarks_lie_elsewhere():
    first = detection(score=0.9)
    marks = 2 * first.landmarks_px.mean(axis=0) - first.landmarks_px
    assert len(suppress_duplicates([first, Detection("right", 0.6, first.box_px, marks)], 2)) == 1


def test_with_too_few_landmarks_the_boxes_decide():
    unknown = np.full((21, 2), np.nan)
    unknown[:3] = 0.0
    first = replace(detection(score=0.9), landmarks_px=unknown)
    assert suppress_duplicates([first, detection(score=0.5)], 2) == [first]


def test_max_hands_keeps_the_best():
    found = [detection((200.0 * k, 200.0), size=100, score=score) for k, score in enumerate((0.5, 0.9, 0.7))]
    assert [one.score for one in suppress_duplicates(found, 2)] == [0.9, 0.7]
    assert suppress_duplicates([], 2) == []
    with pytest.raises(ValueError, match="max_hands must be at least 1, got 0"):
        suppress_duplicates(found, 0)


def test_boxes_by_hand():
    assert box_iou(np.array([0.0, 0, 2, 2]), np.array([[1.0, 0, 3, 2], [5, 5, 6, 6], [0, 0, 2, 2]])) == (
        pytest.approx([1 / 3, 0, 1])
    )
    marks = np.array([[1.0, 2.0], [5.0, 4.0], [np.nan, np.nan]])
    np.testing.assert_allclose(box_around(marks, 0.5), [-1, 0, 7, 6])
    np.testing.assert_allclose(box_around(marks[:1], 0.5), [0.5, 1.5, 1.5, 2.5])  # one point: one pixel
    with pytest.raises(ValueError, match="all NaN"):
        box_around(marks[2:], 0.1)
