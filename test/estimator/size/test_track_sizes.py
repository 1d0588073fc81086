"""Sizes of tracks, learnt from depth images, with honest standard deviations."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.scale_evidence import larger, open_pose, rendered

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.estimator.hand_size import HandSize
from hand_pose_ros.estimator.size.population import POPULATIONS
from hand_pose_ros.estimator.size.track_sizes import TrackSizes
from hand_pose_ros.pose import Frame

CAMERA = CameraModel.from_fov(640, 480, 1.0)
PLACE = (0.05, 0.05, 0.5)
TRUE_M = 0.08


def frames(count, sizes, noise=0.0, track_id=0, seed=1):
    """Show a hand whose estimate is wrong by the same factor as its size, plus noise, for some frames."""
    rng = np.random.default_rng(seed)
    picture = rendered(CAMERA, TRUE_M, PLACE)
    true = open_pose(TRUE_M, PLACE)
    for _ in range(count):
        known = sizes.size(track_id)
        assumed = 0.089 if known is None else known.size_m
        pose = replace(larger(true, assumed / TRUE_M), track_id=track_id)
        depth = picture.depth_m * (1 + noise * rng.normal())
        sizes.observe(Frame(picture.image, CAMERA, depth_m=depth), [pose])


def test_depth_images_give_each_track_its_size():
    sizes = TrackSizes()
    assert sizes.size(0) is None
    frames(60, sizes)
    learnt = sizes.size(0)
    assert learnt is not None
    assert learnt.size_m == pytest.approx(TRUE_M, rel=0.03)  # between what was measured and the mean adult's
    assert abs(learnt.size_m - TRUE_M) < learnt.sigma_m
    assert 0.02 < learnt.spread < 0.04
    assert sizes.size(1) is None
    sizes.reset()
    assert sizes.size(0) is None


def test_noise_averages_out_and_what_repeats_does_not():
    few, many = TrackSizes(), TrackSizes()
    frames(20, few, noise=0.06)
    frames(300, many, noise=0.06)
    first, last = few.size(0), many.size(0)
    assert first is not None
    assert last is not None
    assert last.sigma_m < first.sigma_m
    assert last.spread > 0.02
    assert abs(last.size_m - TRUE_M) < 2 * last.sigma_m


def test_a_size_persists_while_the_hand_is_away():
    sizes = TrackSizes()
    frames(30, sizes)
    before = sizes.size(0)
    image = np.zeros((480, 640, 3), np.uint8)
    for _ in range(300):
        sizes.observe(Frame(image, CAMERA), [])
    assert sizes.size(0) == before
    for _ in range(700):
        sizes.observe(Frame(image, CAMERA), [])
    assert sizes.size(0) is None


def test_a_given_size_and_depth_images_are_weighed():
    given = HandSize(0.088, 0.041 * 0.088)
    sizes = TrackSizes(given)
    assert sizes.size(0) == given
    frames(60, sizes)
    both = sizes.size(0)
    assert both is not None
    assert TRUE_M < both.size_m < given.size_m
    assert both.sigma_m < given.sigma_m
    sizes.give(HandSize(0.085, 0.001))
    assert sizes.size(0) == HandSize(0.085, 0.001)


def test_children_are_expected_only_if_asked_for():
    assert TrackSizes().size(0) is None
    expected = TrackSizes(population=POPULATIONS["all"]).size(0)
    assert expected is not None
    assert expected.size_m < 0.087
