"""Targets hold what the decoder reads: perfect maps give the hands back, and hands not wanted are not counted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hand_pose_ros.hand_images.scenes.compose import SceneHands
from hand_pose_ros.networks.hand_detector.decoding import decode
from hand_pose_ros.networks.hand_detector.network import DetectorMaps
from hand_pose_ros.training.tasks.hand_detector.losses import DetectorLosses, detector_terms, heat_focal_loss
from hand_pose_ros.training.tasks.hand_detector.targets import detector_targets
from hand_pose_ros.training.tasks.hand_detector.validation import matched

SIZE = 128


def hands_at(*places, side=40.0, shown=1.0):
    """Hands of ``side`` pixels, the first a left one, then right ones."""
    points = np.random.default_rng(7).uniform(0, 1, (len(places), 21, 2))
    points = (points - points.min(1, keepdims=True)) / np.ptp(points, axis=1)[:, None]
    points = np.array(places)[:, None] + side * (points - 0.5)
    right = np.arange(len(places)) > 0
    return SceneHands(points, right, np.full(len(places), shown))


def perfect(targets, row=0):
    """The maps that the targets ask for."""
    heat = torch.where(targets.heat == 1, 6.0, -6.0)
    maps = (heat, targets.log_size.nan_to_num(), targets.points.nan_to_num())
    return [one[row].numpy() for one in maps]


def test_perfect_maps_give_the_hands_back():
    hands = hands_at((30, 40), (90, 80))
    found = decode(perfect(detector_targets([hands], SIZE)), 0.3)
    assert len(found.score) == 2
    for joints, right in zip(hands.points, hands.right, strict=True):
        error = np.abs(found.points - 0.5 - joints).max((1, 2))
        nearest = int(error.argmin())
        assert error[nearest] < 1e-3
        assert (found.right[nearest] > 0.5) == right


def test_small_and_covered_hands_are_neither_trained_nor_missed():
    small, covered = hands_at((60, 60), side=5.0), hands_at((60, 60), shown=0.3)
    gone, empty = (
        hands_at((60, 60), shown=0.05),
        SceneHands(np.zeros((0, 21, 2)), np.zeros(0, bool), np.zeros(0)),
    )
    targets = detector_targets([small, covered, gone, empty], SIZE)
    assert not targets.heat.any()
    assert not targets.weight.any()
    assert (~targets.counted).flatten(1).any(1).tolist() == [True, True, False, False]
    assert not targets.counted[1, :, 7, 7].any()
    assert targets.counted[1, :, 0, 0].all()


def test_a_hand_cut_off_by_the_edge_has_its_middle_inside():
    hands = hands_at((4, 60))
    targets = detector_targets([hands], SIZE)
    (row,), (column,) = np.nonzero(targets.heat[0, 0].numpy() == 1)
    assert (row, column) == (60 // 8, 1)
    found = decode(perfect(targets), 0.3)
    np.testing.assert_allclose(found.points[0] - 0.5, hands.points[0], atol=1e-3)


def test_losses_vanish_for_perfect_maps_only():
    targets = detector_targets([hands_at((30, 40), (90, 80))], SIZE)
    maps = DetectorMaps(
        torch.where(targets.heat == 1, 12.0, -12.0),
        targets.log_size.nan_to_num(),
        targets.points.nan_to_num(),
    )
    terms = detector_terms(maps, targets)
    assert float(terms["heat"]) == pytest.approx(0, abs=1e-3)
    assert float(terms["size"]) == float(terms["points"]) == 0
    worse = detector_terms(maps._replace(log_size=maps.log_size + 0.5, points=maps.points - 0.1), targets)
    assert float(worse["size"]) == pytest.approx(0.5, abs=1e-5)
    assert float(worse["points"]) == pytest.approx(0.1, abs=1e-5)
    swapped = detector_terms(maps._replace(heat=maps.heat.flip(1)), targets)
    assert float(swapped["heat"]) > 5


def test_what_is_not_counted_has_no_gradient():
    logits = torch.zeros(1, 2, 4, 4, requires_grad=True)
    counted = torch.ones(1, 2, 4, 4, dtype=torch.bool)
    counted[:, :, :2] = False
    heat_focal_loss(logits, torch.zeros(1, 2, 4, 4), counted).backward()
    assert logits.grad is not None
    assert not logits.grad[:, :, :2].any()
    assert logits.grad[:, :, 2:].all()


def test_impossible_weights_are_refused():
    with pytest.raises(ValueError, match="must not be negative"):
        DetectorLosses(points=-1)


def test_a_found_hand_counts_once_and_what_is_elsewhere_is_false():
    hands = hands_at((30, 40), (90, 80))
    found = decode(perfect(detector_targets([hands], SIZE)), 0.3)
    twice = type(found)(*(np.concatenate((one, one[:1])) for one in found))
    result = matched(twice, hands, SIZE)
    assert result.hand.tolist() == [True, True, False]
    assert result.right_side[:2].all()
    elsewhere = found._replace(points=found.points + 60)
    assert not matched(elsewhere, hands, SIZE).hand.any()
    covered = hands._replace(shown=np.array((0.2, 1.0)))
    assert len(matched(found, covered, SIZE).score) == 1  # neither found nor false
