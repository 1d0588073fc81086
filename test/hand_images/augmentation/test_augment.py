"""Training crops: reproducible, exact where nothing is random, and honest on what occluders hide."""

import dataclasses

import numpy as np
import pytest
from helpers.hand_images import stored_hands

from hand_pose_ros.hand_images.augmentation import occluders
from hand_pose_ros.hand_images.augmentation.augment import (
    CROP_MARGIN,
    AugmentationConfig,
    PhotometricConfig,
    augment,
    change_image,
    fill_outside,
)
from hand_pose_ros.hand_images.augmentation.occluders import OccluderConfig, add_occluders
from hand_pose_ros.hand_images.augmentation.view_jitter import change_labels
from hand_pose_ros.hand_images.shards import STORED_SIZE_PX, HandImages, view_to_pixels

NONE = AugmentationConfig.none()


@pytest.fixture(scope="module")
def hands() -> HandImages:
    return stored_hands(16)


def assert_equal(a: HandImages, b: HandImages) -> None:
    for name, one, two in zip(HandImages._fields, a, b, strict=True):
        np.testing.assert_array_equal(one, two, err_msg=name)


@pytest.mark.parametrize("size_px", [128, 160])
def test_same_generator_same_crops(hands, size_px):
    before = HandImages(*(field.copy() for field in hands))
    first, second, other = (
        augment(hands, AugmentationConfig(), np.random.default_rng(seed), size_px) for seed in (1, 1, 2)
    )
    assert_equal(first.hands, second.hands)
    assert (first.hands.image != other.hands.image).mean() > 0.5
    assert_equal(hands, before)
    assert first.hands.image.shape == (hands.count, size_px, size_px, 3)
    for name in HandImages._fields:
        assert getattr(first.hands, name).dtype == getattr(hands, name).dtype, name
    assert_equal(
        first.hands._replace(image=hands.image, visible=hands.visible), change_labels(hands, first.change)
    )


def test_without_augmentation_the_crop_is_the_middle_of_the_stored_image(hands):
    crops = augment(hands, NONE, np.random.default_rng(0), size_px=120, margin=CROP_MARGIN).hands
    np.testing.assert_array_equal(crops.image, hands.image[:, 20:140, 20:140])
    np.testing.assert_allclose(crops.points, hands.points, atol=1e-6)
    np.testing.assert_array_equal(crops.visible, hands.visible)


def test_only_what_is_hidden_is_no_longer_visible(hands):
    config = dataclasses.replace(NONE, occluders=OccluderConfig(share=1.0))
    crops = augment(hands, config, np.random.default_rng(3), 120).hands
    plain = augment(hands, NONE, np.random.default_rng(3), 120).hands
    hidden = ~crops.visible
    assert 0.02 < hidden.mean() < OccluderConfig.hidden_most
    assert hidden.mean(1).max() <= OccluderConfig.hidden_most
    np.testing.assert_array_equal(crops.inside, hands.inside)
    changed = np.abs(crops.image.astype(int) - plain.image).max(-1)
    places = view_to_pixels(plain.points, 120, CROP_MARGIN).round().astype(int)
    rows = np.arange(hands.count)[:, None]
    at_joints = changed[rows, places[..., 1].clip(0, 119), places[..., 0].clip(0, 119)]
    assert (at_joints[hidden] > 3).mean() > 0.95
    assert (at_joints[~hidden] > 3).mean() < 0.05
    no_share = dataclasses.replace(config, occluders=OccluderConfig(share=0.0))
    assert_equal(augment(hands, no_share, np.random.default_rng(3), 120).hands, plain)


def test_occluders_of_every_kind_leave_images_whole(hands):
    points = view_to_pixels(hands.points[0])
    for hand_share in (0.0, 1.0):
        config = OccluderConfig(hand_share=hand_share, hidden_most=1.0)
        generator = np.random.default_rng(4)
        changed = 0
        for _ in range(20):
            image, hidden = add_occluders(hands.image[0], points, 40.0, hands, config, generator)
            assert image.shape == hands.image[0].shape
            assert image.dtype == np.uint8
            changed += int((image != hands.image[0]).any())
            assert hidden.shape == (21,)
        assert changed > 15


def test_a_cut_out_hand_covers_its_joints(hands):
    points = view_to_pixels(hands.points[0])
    mask = occluders.hand_mask(STORED_SIZE_PX, points, 8.0)
    assert occluders.covered(mask, points).all()
    assert 0.02 < (mask > 0).mean() < 0.5
    points[3] = np.nan
    assert not occluders.hand_mask(STORED_SIZE_PX, points, 8.0).any()


def test_black_outside_is_filled_and_dark_pixels_stay(hands):
    image = hands.image[0].copy()
    image[:, :30] = 0
    image[100, 100] = 0
    for seed in range(4):
        filled = fill_outside(image, hands, np.random.default_rng(seed))
        assert (filled[:, :29].max(-1) > 0).mean() > 0.95
        np.testing.assert_array_equal(filled[:, 31:], image[:, 31:])
    untouched = hands.image[1]
    np.testing.assert_array_equal(fill_outside(untouched, hands, np.random.default_rng(0)), untouched)


def test_stronger_changes_are_farther_from_the_original(hands):
    image = hands.image[0]
    distances = []
    for strength in (0.0, 0.3, 1.0):
        config = PhotometricConfig(strength=strength)
        generator = np.random.default_rng(5)
        changed = [change_image(image, config, generator) for _ in range(60)]
        assert all(one.shape == image.shape and one.dtype == np.uint8 for one in changed)
        distances.append(np.mean([np.abs(one.astype(float) - image).mean() for one in changed]))
    assert distances[0] == 0
    assert distances[0] < distances[1] < distances[2]


def test_bright_images_are_not_burnt_out():
    bright = np.full((64, 64, 3), 225, np.uint8)
    bright[20:40, 20:40] = 180
    config = PhotometricConfig(clipping_share=1.0, noise_share=0, tone_share=1.0)
    generator = np.random.default_rng(6)
    steps = [change_image(bright, config, generator) for _ in range(30)]
    contrast = [float(step[10, 10].mean()) - float(step[30, 30].mean()) for step in steps]
    assert min(contrast) > 10


@pytest.mark.parametrize(
    "wrong", [{"noise_share": 2}, {"motion_px": -1}, {"jpeg_quality": 0}, {"low_resolution": 0.5}]
)
def test_wrong_configurations_are_refused(wrong):
    with pytest.raises(ValueError, match=r"share|negative|jpeg_quality"):
        PhotometricConfig(**wrong)
