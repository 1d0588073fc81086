"""Images labelled in 2D only and in 3D are drawn with equal probability, whatever their numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.image_networks import drawn_hands

from hand_pose_ros.hand_images.shards import save_shard
from hand_pose_ros.training.tasks.heatmap.mixed_source import MixedSource, mixed
from hand_pose_ros.training.tasks.images.batches import ImageDataOptions


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """16 renders, 6 photos labelled in 3D, and 3 in 2D only."""
    folder = tmp_path_factory.mktemp("shards")
    save_shard(folder / "rendered/one", drawn_hands(16), 0, {})
    photos = drawn_hands(9, seed=3)
    photos.source[:] = 2
    for name in ("depth", "joints", "wrist", "angles", "rotation"):
        getattr(photos, name)[6:] = np.nan
    save_shard(folder / "real/one", photos, 0, {})
    return folder


def source(folders, share_2d=0.5, photos_in_2d=False, **values):
    options = ImageDataOptions(
        rendered=(str(folders / "rendered"),),
        real=(str(folders / "real"),),
        validation_rendered=(str(folders / "rendered"),),
        validation_real=(str(folders / "real"),),
        share_real=0.4,
    )
    return MixedSource(replace(options, **values), share_2d, photos_in_2d)


def shares(hands):
    in_2d = ~np.isfinite(hands.depth).any(1)
    rendered = hands.source == 0
    return in_2d.mean(), rendered[~in_2d].mean() if (~in_2d).any() else np.nan


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_both_kinds_have_their_probability(folders, share):
    hands = source(folders, share).draw(4000, np.random.default_rng(0))
    in_2d, rendered = shares(hands)
    assert in_2d == pytest.approx(share, abs=0.03)
    # 60 % of the images are renders; of the 40 % photos a third are labelled in 2D only.
    assert rendered == pytest.approx(0.6 / (0.6 + 0.4 * 2 / 3), abs=0.03)


def test_the_depths_of_photos_can_be_left_out(folders):
    made = source(folders, photos_in_2d=True)
    hands = made.draw(2000, np.random.default_rng(0))
    in_2d, rendered = shares(hands)
    assert in_2d == pytest.approx(0.5, abs=0.04)
    assert rendered == 1
    assert np.isfinite(hands.points).all()
    assert np.isfinite(made.held_back["real"].depth[:6]).all(), "validation still knows them"


def test_one_kind_alone_is_drawn_as_it_is(folders):
    hands = source(folders, real=(), validation_real=()).draw(100, np.random.default_rng(0))
    assert hands.count == 100
    assert (hands.source == 0).all()
    probability = np.array((0.2, 0.3, 0.5))
    for kinds in (np.zeros(3, bool), np.ones(3, bool)):
        np.testing.assert_allclose(mixed(probability, kinds, 0.5), probability)
    np.testing.assert_allclose(mixed(probability, np.array((True, False, False)), 0.5), (0.5, 0.1875, 0.3125))


def test_epochs_know_no_shares(folders):
    with pytest.raises(ValueError, match="sampling must be 'weighted', not 'epochs'"):
        source(folders, sampling="epochs")


def test_the_same_generator_draws_the_same(folders):
    first, second = (source(folders).draw(20, np.random.default_rng(4)).points for _ in range(2))
    np.testing.assert_array_equal(first, second)
