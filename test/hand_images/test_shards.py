"""The format of training images: what is written is what is read, and only whole shards count."""

import numpy as np
import pytest

from hand_pose_ros.common.named_tensors import cat
from hand_pose_ros.hand_images.shards import (
    FIELDS,
    HandImages,
    ShardedHandImages,
    empty_hand_images,
    is_shard,
    load_shard,
    pixels_to_view,
    save_shard,
    shard_folders,
    shard_info,
    view_to_pixels,
)


def random_images(count: int, seed: int) -> HandImages:
    generator = np.random.default_rng(seed)
    fields = {}
    for name, (shape, kind) in FIELDS.items():
        fields[name] = generator.integers(0, 2 if kind is np.bool_ else 200, (count, *shape)).astype(kind)
    fields["joints"][0, 3] = np.nan
    return HandImages(**fields)


def assert_equal(a: HandImages, b: HandImages) -> None:
    for name, one, two in zip(HandImages._fields, a, b, strict=True):
        np.testing.assert_array_equal(one, two, err_msg=name)
        assert one.dtype == two.dtype


def test_shard_round_trip(tmp_path):
    images = random_images(5, 0)
    save_shard(tmp_path / "a", images, seed=7, settings={"why": "test"})
    loaded = load_shard(tmp_path / "a")
    assert_equal(loaded, images)
    assert isinstance(loaded.image, np.memmap)
    assert shard_info(tmp_path / "a") == {"format": 1, "count": 5, "seed": 7, "settings": {"why": "test"}}
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    with pytest.raises(FileExistsError):
        save_shard(tmp_path / "a", images, seed=7, settings={})


def test_shards_without_a_detector_s_answers_have_none(tmp_path):
    images = empty_hand_images(3)
    save_shard(tmp_path / "a", images, 0, {})
    assert not (tmp_path / "a" / "detected.npy").exists()
    assert_equal(load_shard(tmp_path / "a"), images)
    images.detected[1] = 0.5
    save_shard(tmp_path / "b", images, 0, {})
    table = ShardedHandImages([tmp_path])
    assert table.rows(np.arange(6)).has_detection.tolist() == [False] * 4 + [True, False]


def test_unfinished_shards_do_not_count_and_are_replaced(tmp_path):
    save_shard(tmp_path / "b", random_images(2, 1), 0, {})
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "image.npy").write_bytes(b"rubbish")
    assert not is_shard(tmp_path / "a")
    assert shard_folders(tmp_path) == [tmp_path / "b"]
    with pytest.raises(ValueError, match="not a complete shard"):
        load_shard(tmp_path / "a")
    save_shard(tmp_path / "a", random_images(2, 2), 0, {})
    assert shard_folders(tmp_path) == [tmp_path / "a", tmp_path / "b"]


def test_rows_across_shards(tmp_path):
    parts = [random_images(count, count) for count in (3, 1, 4)]
    for number, part in enumerate(parts):
        save_shard(tmp_path / f"{number}", part, 0, {})
    table, whole = ShardedHandImages([tmp_path]), cat(parts)
    assert len(table) == whole.count == 8
    index = np.array([7, 0, 3, 3, 2, 4])
    assert_equal(table.rows(index), whole.rows(index))
    with pytest.raises(IndexError):
        table.rows(np.array([8]))


def test_wrong_fields_are_refused(tmp_path):
    images = random_images(2, 0)
    with pytest.raises(ValueError, match="depth"):
        save_shard(tmp_path / "a", images._replace(depth=images.depth.astype(np.float64)), 0, {})
    with pytest.raises(ValueError, match="points"):
        save_shard(tmp_path / "a", images._replace(points=images.points[:1]), 0, {})
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_known_of_empty_rows():
    images = empty_hand_images(2)
    assert np.isnan(images.joints).all()
    assert not images.visible.any()
    assert (images.weight == 1).all()


def test_pixels_of_the_view():
    corners = np.array([[-2.0, -2.0], [2.0, 2.0], [0.0, 0.0]])
    pixels = view_to_pixels(corners)
    np.testing.assert_allclose(pixels, [[-0.5, -0.5], [159.5, 159.5], [79.5, 79.5]])
    np.testing.assert_allclose(pixels_to_view(pixels), corners)
