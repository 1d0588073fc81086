"""Batches of hand images: keypoints, crops and labels in one view, the same however they were prepared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.image_networks import drawn_hands

from hand_pose_ros import hand
from hand_pose_ros.hand_images.augmentation.augment import AugmentationConfig, augment
from hand_pose_ros.hand_images.augmentation.view_jitter import ViewJitterConfig, change_labels, view_change
from hand_pose_ros.hand_images.keypoints import detected_view_change, noisy_keypoints
from hand_pose_ros.hand_images.shards import save_shard, view_to_pixels
from hand_pose_ros.networks.image.image_encoder import ImageEncoderConfig
from hand_pose_ros.synthetic.detector.noise import NO_VARIETY, DetectorNoise
from hand_pose_ros.training.tasks.images.batches import (
    ImageBatches,
    ImageDataOptions,
    ImageSource,
    observed_batch,
)

ENCODER = ImageEncoderConfig(size_px=96)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    hands = drawn_hands(24)
    save_shard(folder / "rendered/one", hands, 0, {})
    save_shard(folder / "real/one", hands.rows(slice(0, 12))._replace(source=np.full(12, 2, np.int16)), 0, {})
    return folder


def options(folders, **values):
    given = {"rendered": (str(folders / "rendered"),), "batch_size": 8, "held_back": 4, "negatives": 3}
    return ImageDataOptions(**given | values)


def batches(given):
    return ImageBatches(given, ENCODER, ImageSource(given), DetectorNoise())


def values_of(batch):
    return [*(value for value in batch if isinstance(value, torch.Tensor)), *batch.condition]


def assert_equal(one, other):
    for a, b in zip(values_of(one), values_of(other), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)


def test_a_batch_depends_on_the_generator_only_prepared_or_not(folders):
    made = batches(options(folders))
    first = made.next(torch.Generator().manual_seed(5))
    made.prepare(torch.Generator().manual_seed(6))
    made.prepare(torch.Generator().manual_seed(5))
    assert_equal(made.next(torch.Generator().manual_seed(5)), first)
    assert_equal(batches(options(folders)).next(torch.Generator().manual_seed(5)), first)
    for seed in range(10):  # what nobody asks for does not pile up
        made.prepare(torch.Generator().manual_seed(seed))
    assert len(made._ahead) <= 3
    other = made.next(torch.Generator().manual_seed(6))
    assert not torch.equal(other.crops, first.crops)


def test_shapes_and_the_share_of_photos(folders):
    given = options(folders, real=(str(folders / "real"),), share_real=0.25)
    batch = batches(given).make(1)
    assert batch.count == 8
    assert batch.crops.shape == (11, 96, 96, 3)
    assert batch.source.tolist() == [0] * 6 + [2] * 2
    assert batch.condition.points.shape == (8, 21, 2)
    only = batches(replace(given, rendered=())).make(1)
    assert set(only.source.tolist()) == {2}


def test_sets_are_mixed_by_weight(folders, tmp_path):
    small = drawn_hands(6, seed=9)
    save_shard(tmp_path / "small/one", small._replace(source=np.full(6, 1003, np.int16)), 0, {})
    real = (str(folders / "real"), str(tmp_path / "small"))
    given = options(folders, rendered=(), real=real, held_back=1, real_weights=(1.0, 3.0))
    drawn = ImageSource(given).draw(4000, np.random.default_rng(0))
    assert np.mean(drawn.source == 1003) == pytest.approx(0.75, abs=0.03)
    for weights in ((1.0,), (1.0, 0.0)):
        with pytest.raises(ValueError, match="real_weights must be a positive number for each folder"):
            replace(given, real_weights=weights)


def test_nothing_that_is_held_back_is_trained_on(folders):
    source = ImageSource(options(folders, held_back=20))
    hands = drawn_hands(24)
    np.testing.assert_array_equal(source.held_back["rendered"].points, hands.points[4:])
    drawn = source.draw(64, np.random.default_rng(0))
    assert {p.tobytes() for p in drawn.points} == {p.tobytes() for p in hands.points[:4]}
    apart = ImageSource(options(folders, validation_rendered=(str(folders / "real"),), held_back=50))
    assert apart.held_back["rendered"].count == 12
    assert len(apart.sets["rendered"][1]) == 24
    with pytest.raises(ValueError, match="held back"):
        ImageSource(options(folders, held_back=24))
    with pytest.raises(ValueError, match="at least one folder"):
        ImageDataOptions()


def test_labels_lie_on_the_lines_of_the_crop(folders):
    view_only = AugmentationConfig(ViewJitterConfig(), None, None, 0.0)
    for share in (0.0, 1.0):
        given = options(folders, augmentation=view_only, detector_views=share, negatives=0)
        batch = batches(given).make(2)
        pixels = view_to_pixels(batch.points.numpy(), ENCODER.size_px, ENCODER.margin)
        ends = pixels[:, hand.BONES]
        middles = np.rint(ends.mean(2)).astype(int)
        inside = ((middles >= 0) & (middles < ENCODER.size_px)).all(-1)
        hits = [
            batch.crops[row, y, x].numpy()
            for row, bone in np.argwhere(inside)
            for x, y in [middles[row, bone]]
        ]
        on_a_line = np.abs(np.array(hits).astype(int) - 128).max(-1) > 10
        assert on_a_line.mean() > 0.9
        joints = batch.joints + batch.wrist[:, None]
        projected = joints[..., :2] / joints[..., 2:] / batch.condition.half_extent[:, None, None]
        torch.testing.assert_close(projected, batch.points, rtol=0, atol=1e-3)


def test_a_crop_cut_by_the_detector_has_its_keypoints_in_the_canonical_view(folders):
    exact = DetectorNoise(scale=0.0, variety=NO_VARIETY)
    given = options(folders, augmentation=AugmentationConfig.none(), detector_views=1.0)
    hands = drawn_hands(16)
    batch = observed_batch(hands, given, ENCODER, DetectorNoise(), np.random.default_rng(0))
    points = batch.condition.points
    complete = points.isfinite().all(-1).all(-1)
    near = complete & (batch.shift.abs().amax(-1) > 0)
    extent = points[near].abs().amax((1, 2))
    assert near.sum() > 4
    torch.testing.assert_close(extent, torch.ones_like(extent), rtol=0, atol=2e-3)
    batch = observed_batch(hands, given, ENCODER, exact, np.random.default_rng(0))
    torch.testing.assert_close(batch.points, torch.from_numpy(hands.points), rtol=0, atol=2e-2)


def test_the_change_to_a_detected_view_is_described_as_a_drawn_one_is():
    generator = np.random.default_rng(0)
    hands = drawn_hands(6)
    found = detected_view_change(
        hands.half_extent, hands.points + 0.1 * generator.standard_normal((6, 21, 2))
    )
    again = view_change(hands.half_extent, found.roll_rad, found.shift, found.scale)
    np.testing.assert_allclose(again.rotation, found.rotation, atol=1e-6)
    np.testing.assert_allclose(again.half_extent, found.half_extent, rtol=1e-6)


def test_two_augmentations_of_the_same_images_for_contrast(folders):
    batch = batches(options(folders, pairs=True, negatives=0)).make(3)
    torch.testing.assert_close(batch.angles[:4], batch.angles[4:])
    assert not torch.equal(batch.crops[:4], batch.crops[4:])
    assert not torch.equal(batch.shift[:4], batch.shift[4:])
    with pytest.raises(ValueError, match="even"):
        options(folders, pairs=True, batch_size=7)


def test_hands_of_which_only_the_image_is_known_keep_their_keypoints():
    hands = drawn_hands(3)
    hands.rotation[1] = hands.depth[1] = hands.joints[1] = np.nan
    points, depth, confidence = noisy_keypoints(hands, DetectorNoise(), torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(points[1], hands.points[1])
    assert depth[1].isnan().all()
    assert confidence[1].isnan().all()
    assert not np.array_equal(points[0], hands.points[0])


def test_keypoints_that_a_detector_gave_for_an_image_are_used_with_that_image():
    hands = drawn_hands(6)
    hands.detected[:3, :, :2], hands.detected[:3, :, 2] = hands.points[:3] + 0.02, 0.25
    given = ImageDataOptions(rendered=("unused",), detector_views=1.0)
    batch = observed_batch(hands, given, ENCODER, DetectorNoise(), np.random.default_rng(0))
    still = detected_view_change(hands.half_extent[:3], hands.detected[:3, :, :2])
    moved = change_labels(hands.rows(slice(3))._replace(points=hands.detected[:3, :, :2]), still)
    np.testing.assert_allclose(batch.condition.points[:3], moved.points, atol=1e-5)
    assert (batch.condition.depth[:3] == 0.25).all()  # as it is: a detector does not know of our view
    assert batch.condition.confidence[:3].isnan().all()
    assert batch.condition.confidence[3:].isfinite().any()
    plain = augment(hands.rows(slice(3)), AugmentationConfig.none(), np.random.default_rng(1), 96, 1.5, still)
    np.testing.assert_array_equal(batch.crops[:3], plain.hands.image)
