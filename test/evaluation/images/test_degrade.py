"""Series of worse and worse images: unchanged at first, farther each time, and the same hand throughout."""

from itertools import pairwise

import numpy as np
import pytest
from helpers.hand_images import stored_hands

from hand_pose_ros.evaluation.images.degrade import HIDDEN_SHARES, KINDS, STRENGTHS, degraded, occlusion_mask
from hand_pose_ros.hand_images.shards import HandImages, view_to_pixels


@pytest.fixture(scope="module")
def hands() -> HandImages:
    return stored_hands(12)


@pytest.mark.parametrize("kind", KINDS)
def test_each_strength_is_farther_from_the_image(hands, kind):
    before = hands.image.copy()
    series = [degraded(hands, kind, strength, seed=3) for strength in STRENGTHS]
    np.testing.assert_array_equal(hands.image, before)
    distances = np.array([np.abs(step.image.astype(float) - hands.image).mean((1, 2, 3)) for step in series])
    assert (distances[0] == 0).all()
    assert (np.diff(distances, axis=0) > 0).all()
    for step in series:
        assert step.image.dtype == np.uint8
        for name in set(HandImages._fields) - {"image", "visible"}:
            assert getattr(step, name) is getattr(hands, name)
    np.testing.assert_array_equal(degraded(hands, kind, 2, seed=3).image, series[2].image)
    assert (degraded(hands, kind, 2, seed=4).image != series[2].image).any()


def test_occlusion_hides_what_it_says_and_grows(hands):
    visible = np.stack([degraded(hands, "occlusion", strength, seed=3).visible for strength in STRENGTHS])
    assert (visible[1:] <= visible[:-1]).all()
    shares = 1 - visible.mean(-1)
    for strength, wanted in enumerate(HIDDEN_SHARES):
        assert (shares[strength] >= wanted).all()
        assert shares[strength].mean() <= wanted + 0.12
    assert visible[0].all()


def test_masks_of_one_family_contain_each_other(hands):
    points = view_to_pixels(hands.points[0].astype(float))
    masks = [occlusion_mask(points, share, 160, np.random.default_rng(7))[0] > 0 for share in HIDDEN_SHARES]
    for small, large in pairwise(masks):
        assert (small & ~large).sum() <= 4  # rounding at the edge
    assert not masks[0].any()


def test_motion_blur_keeps_labels_and_visibility(hands):
    step = degraded(hands, "motion_blur", 4, seed=0)
    np.testing.assert_array_equal(step.visible, hands.visible)


def test_unknown_points_cannot_be_hidden(hands):
    points = np.full((21, 2), np.nan)
    mask, _ = occlusion_mask(points, 0.5, 160, np.random.default_rng(0))
    assert not mask.any()


def test_wrong_requests_are_refused(hands):
    with pytest.raises(ValueError, match="kind"):
        degraded(hands, "fog", 1, seed=0)
    with pytest.raises(ValueError, match="strength"):
        degraded(hands, "occlusion", 5, seed=0)
