"""Decoding turns peaks into hands: places, sides and sizes are exact, and one hand is one candidate."""

from __future__ import annotations

import numpy as np
import pytest

from hand_pose_ros import hand
from hand_pose_ros.networks.hand_detector.config import STRIDE
from hand_pose_ros.networks.hand_detector.decoding import HandCandidates, decode, distinct

CELLS = 12


def empty_maps():
    heat = np.full((2, CELLS, CELLS), -8.0, np.float32)
    return heat, np.zeros((1, CELLS, CELLS), np.float32), np.zeros((42, CELLS, CELLS), np.float32)


def put(maps, row, column, *, left=-8.0, right=-8.0, size=3.0, points=None):
    heat, log_size, offsets = maps
    heat[:, row, column] = left, right
    log_size[0, row, column] = np.log(size)
    offsets[:, row, column] = spread() if points is None else points
    return maps


def spread():
    """Offsets (42,) of joints whose box has a larger side of 1."""
    points = np.random.default_rng(2).uniform(-0.5, 0.5, (hand.NUM_JOINTS, 2))
    return (points / np.ptp(points, axis=0).max()).ravel()


def test_places_and_sizes_are_exact():
    maps = put(empty_maps(), 3, 7, right=2.0, left=-4.0, size=5.0)
    found = decode(maps, 0.3)
    assert found.score.shape == (1,)
    left, right = 1 / (1 + np.exp(4.0)), 1 / (1 + np.exp(-2.0))
    assert found.score[0] == pytest.approx(left + right, abs=1e-6)
    assert found.right[0] == pytest.approx(right / (left + right), abs=1e-6)
    expected = (np.array((7.5, 3.5)) + 5.0 * spread().reshape(-1, 2)) * STRIDE
    np.testing.assert_allclose(found.points[0], expected, rtol=1e-6)


def test_uncertain_joints_do_not_make_the_hand_smaller():
    maps = put(empty_maps(), 3, 7, right=2.0, size=5.0, points=0.4 * spread() + 0.1)
    (points,) = decode(maps, 0.3).points
    assert np.ptp(points, axis=0).max() == pytest.approx(5.0 * STRIDE)
    (exact,) = decode(put(empty_maps(), 3, 7, right=2.0, size=5.0), 0.3).points
    np.testing.assert_allclose(np.ptp(points, axis=0), np.ptp(exact, axis=0))
    # Joints in one place stay there.
    maps = put(empty_maps(), 3, 7, right=2.0, size=5.0, points=np.full(42, 0.1))
    np.testing.assert_allclose(decode(maps, 0.3).points[0], np.array((8.0, 4.0)) * STRIDE + np.zeros((21, 2)))


def test_only_peaks_of_enough_score_count_the_best_first():
    maps = empty_maps()
    put(maps, 2, 2, left=1.0)
    put(maps, 2, 3, left=0.5)  # beside a larger one
    put(maps, 8, 8, right=3.0)
    put(maps, 5, 10, right=-1.5)
    found = decode(maps, 0.3)
    np.testing.assert_allclose(found.score, [1 / (1 + np.exp(-3)), 1 / (1 + np.exp(-1))], atol=1e-3)
    assert (found.right > 0.5).tolist() == [True, False]
    assert len(decode(maps, 0.1).score) == 3
    assert len(decode(empty_maps(), 0.3).score) == 0


def test_a_hand_of_either_side_is_one_hand():
    maps = put(empty_maps(), 4, 4, left=-0.1, right=0.1)
    found = decode(maps, 0.3)
    assert len(found.score) == 1
    assert found.score[0] == pytest.approx(1.0, abs=1e-6)
    assert found.right[0] == pytest.approx(0.525, abs=1e-3)


def test_what_is_not_finite_is_left_out():
    maps = put(empty_maps(), 4, 4, right=2.0, points=np.full(42, np.nan))
    assert len(decode(maps, 0.3).score) == 0


def test_no_size_overflows():
    maps = put(empty_maps(), 4, 4, right=2.0)
    maps[1][0, 4, 4] = 1e4
    assert np.isfinite(decode(maps, 0.3).points).all()


def test_candidates_of_one_hand_are_joined_and_touching_hands_stay():
    hand_points = 40 * spread().reshape(-1, 2)
    points = np.stack((hand_points, hand_points + 4, hand_points * (-1, 1), hand_points + (40, 0)))
    found = HandCandidates(np.array((0.9, 0.8, 0.7, 0.6)), np.full(4, 0.5), points)
    kept = distinct(found)
    assert kept.score.tolist() == [0.9, 0.7, 0.6]
    none = HandCandidates(np.zeros(0), np.zeros(0), np.zeros((0, 21, 2)))
    assert len(distinct(none).score) == 0
