"""Real photos as training images: read, seen in the view of run time, lifted, and kept apart by source."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from helpers.diffusion import random_network
from helpers.hand_images import assert_same_shards
from helpers.real_hands import CROP_PX, FOCAL, HEIGHT, SPOT_JOINTS, WIDTH, write_real_hands

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.common.parts import Part
from hand_pose_ros.estimator.keypoint_input import keypoint_input
from hand_pose_ros.hand_images.real import command
from hand_pose_ros.hand_images.real.command import convert, label_weight, main, write_shards
from hand_pose_ros.hand_images.real.labels import read_crops, read_labels
from hand_pose_ros.hand_images.real.lift import lift_hands
from hand_pose_ros.hand_images.real.sources import (
    HELD_BACK,
    MEASURED,
    SOURCES,
    TRAIN,
    numbers_of_part,
    sampling_weights,
    source_numbers,
)
from hand_pose_ros.hand_images.real.views import real_hand_views
from hand_pose_ros.hand_images.shards import ShardedHandImages, check_hand_images, shard_info, view_to_pixels
from hand_pose_ros.networks.registry import HAND_DIFFUSION, load_network, shipped_weights
from hand_pose_ros.networks.weights import save_weights
from hand_pose_ros.pose import Detection

PARTS = {part: [s.repository for s in SOURCES if s.part == part] for part in (TRAIN, HELD_BACK, MEASURED)}
REPOSITORIES = [*PARTS[TRAIN][:6], *PARTS[HELD_BACK][:2], *PARTS[MEASURED]]
SIDES = ["Right", "Left"] * 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real_hands")
    write_real_hands(folder, REPOSITORIES, SIDES)
    return folder


@pytest.fixture(scope="module")
def labels(folder):
    return read_labels(folder)


@pytest.fixture(scope="module")
def network():
    return random_network()


@pytest.fixture(scope="module")
def images(folder, labels, network):
    return convert(folder, labels, network, samples=4)


def test_labels_are_read(folder, labels):
    assert labels.count == 10
    assert labels.sides.tolist() == [side.lower() for side in SIDES]
    assert labels.repositories.tolist() == REPOSITORIES
    points = write_real_hands(folder, REPOSITORIES, SIDES)  # the same again
    np.testing.assert_allclose(labels.image_points, points, atol=1e-3)
    homogeneous = np.concatenate((points, np.ones_like(points[..., :1])), -1)
    crop = homogeneous @ labels.crop_of_image.transpose(0, 2, 1)
    np.testing.assert_allclose(crop[..., :2], labels.xy, atol=1e-3)
    crops = list(read_crops(folder, labels.names[[3, 0]]))
    assert [crop.shape for crop in crops] == [(CROP_PX, CROP_PX, 3)] * 2


@pytest.mark.parametrize("row", range(4))
def test_the_network_is_told_what_it_would_be_at_run_time(labels, row):
    camera = CameraModel.pinhole(FOCAL, FOCAL, (WIDTH - 1) / 2, (HEIGHT - 1) / 2, WIDTH, HEIGHT)
    points = labels.image_points[row].astype(float)
    box = np.concatenate((points.min(0), points.max(0)))
    detection = Detection(labels.sides[row], 1.0, box, points, labels.world[row].astype(float))
    view, condition = keypoint_input(camera, detection)
    views = real_hand_views(labels)
    for one, several in zip((*view, *condition), (*views.view, *views.condition), strict=True):
        torch.testing.assert_close(several[row : row + 1], one, equal_nan=True, atol=1e-5, rtol=1e-4)


def test_spots_lie_at_the_points(images):
    checked = 0
    for row in range(images.count):
        places = view_to_pixels(images.points[row, SPOT_JOINTS, :])
        for number, place in enumerate(places):
            column, line = place.round().astype(int)
            window = images.image[row, line - 4 : line + 5, column - 4 : column + 5, number % 3].astype(float)
            apart = np.linalg.norm(np.delete(places, number, axis=0) - place, axis=1).min() > 14
            if not (apart and window.shape == (9, 9) and window.min() > 0):
                continue  # another spot or the image's end is too near
            weight = np.square(window - window.min())
            y, x = np.mgrid[line - 4 : line + 5, column - 4 : column + 5]
            centre = np.array(((x * weight).sum(), (y * weight).sum())) / weight.sum()
            assert np.linalg.norm(centre - place) < 0.15, (row, number)
            checked += 1
    assert checked > 15


def test_left_hands_are_mirrored_right_ones(tmp_path, network):
    converted = []
    for sides in (["Right"] * 3, ["Left"] * 3):
        folder = tmp_path / sides[0]
        folder.mkdir()
        write_real_hands(folder, PARTS[TRAIN][:3], sides)
        converted.append(convert(folder, read_labels(folder), network, samples=4))
    right, left = converted
    for name in (
        "points",
        "depth",
        "half_extent",
        "joints",
        "wrist",
        "angles",
        "rotation",
        "sigma",
        "weight",
    ):
        np.testing.assert_allclose(getattr(left, name), getattr(right, name), atol=2e-3, err_msg=name)
    difference = np.abs(left.image.astype(int) - right.image)
    assert difference.mean() < 1.5  # JPEG and interpolation


def test_the_hand_image_is_black_outside_of_the_original_image(images, labels):
    views = real_hand_views(labels)
    checked = 0
    for row in range(images.count):
        black = (images.image[row] == 0).all(-1)
        lines, columns = np.mgrid[0:160:5, 0:160:5]
        normalised = ((np.stack((columns, lines), -1) + 0.5) / 80 - 1) * 2.0 * images.half_extent[row]
        rays = np.concatenate((normalised, np.ones_like(normalised[..., :1])), -1) @ views.to_image[row].T
        pixels = rays[..., :2] / rays[..., 2:]
        limit = np.array((WIDTH, HEIGHT)) - 0.5
        outside = ((pixels < -0.5) | (pixels > limit)).any(-1)
        np.testing.assert_array_equal(black[lines, columns], outside)
        checked += outside.sum()
    assert checked > 0


def test_hands_are_valid_and_consistent(images, labels):
    check_hand_images(images)
    for name in ("points", "depth", "joints", "angles", "rotation", "sigma"):
        assert np.isfinite(getattr(images, name)).all(), name
    np.testing.assert_allclose(np.linalg.det(images.rotation), 1, atol=1e-4)
    np.testing.assert_allclose(images.joints[:, 0], 0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(images.joints[:, 5], axis=-1), 1, atol=1e-4)
    assert (images.sigma >= 0.0349).all()
    assert not (images.visible & ~images.inside).any()
    assert (images.weight >= 0).all()
    assert (images.weight <= labels.weight).all()
    np.testing.assert_array_equal(images.source, source_numbers(labels.repositories))
    up = images.points[:, (5, 9, 13, 17)].mean(1) - images.points[:, 0]
    np.testing.assert_allclose(up[:, 0], 0, atol=1e-4)
    assert (up[:, 1] < 0).all()


def test_lifting_needs_several_samples_and_is_reproducible(labels, network):
    views = real_hand_views(labels)
    with pytest.raises(ValueError, match="samples"):
        lift_hands(network, views.view, views.condition, samples=1)
    first, second = (lift_hands(network, views.view, views.condition, 4, 2, seed=3) for _ in range(2))
    torch.testing.assert_close(first.sigma, second.sigma)


def test_uncertain_and_impossible_labels_count_less():
    sigma, misfit = np.full((3, 21), 0.1), np.array((0.05, 0.3, np.nan))
    weight = label_weight(np.ones(3), sigma, misfit)
    assert weight[0] > 0.7
    assert weight[0] > weight[1] > weight[2] == 0
    assert label_weight(np.ones(1), 3 * sigma[:1], misfit[:1]) < weight[0]
    assert label_weight(np.full(1, 0.5), sigma[:1], misfit[:1]) == pytest.approx(weight[0] / 2)
    assert weight.dtype == np.float32


def test_parts_share_no_source():
    numbers = {part: set(numbers_of_part(part).tolist()) for part in PARTS}
    assert set.union(*numbers.values()) == set(range(1, len(SOURCES) + 1))
    assert sum(map(len, numbers.values())) == len(SOURCES)
    assert set(PARTS[MEASURED]) == {"dexsuite/dex-retargeting", "TemugeB/handpose3d"}
    assert len(numbers_of_part(TRAIN, exclude=PARTS[TRAIN][:2])) == len(numbers[TRAIN]) - 2
    with pytest.raises(ValueError, match="nobody/nothing"):
        numbers_of_part(TRAIN, exclude=["nobody/nothing"])
    with pytest.raises(ValueError, match="part"):
        numbers_of_part("test")
    assert {source.licence for source in SOURCES} == {"MIT", "Apache-2.0", "CC-BY-4.0", "public domain"}


def test_sources_are_drawn_by_the_root_of_their_size():
    source = np.repeat((1, 2, 3), (400, 100, 1))
    weights = sampling_weights(source)
    assert weights.sum() == pytest.approx(1)
    share = [weights[source == number].sum() for number in (1, 2, 3)]
    np.testing.assert_allclose(np.divide(share, share[2]), (20, 10, 1))


def test_shards_are_written_by_part(folder, tmp_path, network):
    save_weights(tmp_path / "tiny.safetensors", network, "hand_diffusion", network.config.to_dict())
    arguments = ["--real", str(folder), "--output", str(tmp_path / "out"), "--samples", "2"]
    arguments += ["--weights", str(tmp_path / "tiny.safetensors"), "--exclude", PARTS[TRAIN][0]]
    assert main(arguments) == 0
    train, held_back = (ShardedHandImages([tmp_path / "out" / part]) for part in (TRAIN, HELD_BACK))
    assert (len(train), len(held_back)) == (5, 2)
    assert set(train.rows(np.arange(5)).source.tolist()) == set(range(2, 7))
    assert set(held_back.rows(np.arange(2)).source.tolist()) <= set(numbers_of_part(HELD_BACK).tolist())
    settings = shard_info(train.folders[0])["settings"]
    assert sorted(settings["names"]) == [f"hand_{row}" for row in range(1, 6)]
    with pytest.raises(SystemExit):
        main(arguments)  # the shards are there already


def test_parts_make_the_shards_of_the_whole(folder, tmp_path, network, monkeypatch):
    monkeypatch.setattr(command, "_SHARD", 2)
    whole = write_shards(folder, tmp_path / "whole", network, samples=2)
    parts = [
        write_shards(folder, tmp_path / "parts", network, 2, job=Part(number, 3)) for number in (3, 1, 2)
    ]
    assert {name: sum(one[name] for one in parts) for name in whole} == whole
    assert [sum(one.values()) > 0 for one in parts] == [True] * 3
    for name in whole:
        assert_same_shards(tmp_path / "whole" / name, tmp_path / "parts" / name)


def test_wrong_folders_are_refused(folder, tmp_path, labels, network):
    with pytest.raises(ValueError, match="no labels"):
        read_labels(tmp_path)
    with np.load(folder / "labels.npz") as stored:
        columns = dict(stored)
    np.savez(tmp_path / "labels.npz", **{name: value for name, value in columns.items() if name != "world"})
    with pytest.raises(ValueError, match="world"):
        read_labels(tmp_path)
    np.savez(tmp_path / "labels.npz", **{**columns, "xy": columns["xy"][:, :20]})
    with pytest.raises(ValueError, match="xy"):
        read_labels(tmp_path)
    np.savez(tmp_path / "labels.npz", **{**columns, "handedness": np.full(10, "Both")})
    with pytest.raises(ValueError, match="Both"):
        read_labels(tmp_path)
    np.savez(tmp_path / "labels.npz", **columns)
    with pytest.raises(ValueError, match="hand_0"):
        convert(tmp_path, read_labels(tmp_path), network, samples=2)
    unknown = dataclasses.replace(labels, repositories=np.array(["some/body"] * 10))
    with pytest.raises(ValueError, match="some/body"):
        convert(folder, unknown, network, samples=2)
    np.savez(tmp_path / "labels.npz", **{**columns, "repo": unknown.repositories})
    with pytest.raises(ValueError, match="some/body"):
        write_shards(tmp_path, tmp_path / "out", network)


def test_the_real_photos(shared_data):
    folder = shared_data / "real_hands"
    if not folder.is_dir():
        pytest.skip(f"needs the photos in {folder}")
    labels = read_labels(folder)
    source = source_numbers(labels.repositories)
    counts = {part: int(np.isin(source, numbers_of_part(part)).sum()) for part in PARTS}
    assert counts == {TRAIN: 6535, HELD_BACK: 789, MEASURED: 234}
    chosen = np.sort(np.random.default_rng(0).permutation(labels.count)[:40])
    images = convert(
        folder, labels.rows(chosen), load_network(shipped_weights(HAND_DIFFUSION), HAND_DIFFUSION).network, 4
    )
    # A right hand's thumb is on the right where the palm is seen, and on the left where the back is.
    thumb = (
        images.points[:, hand.JOINT_INDEX["thumb_mcp"], 0]
        - images.points[:, hand.JOINT_INDEX["little_mcp"], 0]
    )
    towards = images.rotation[:, 2, 2]
    clear = np.abs(towards) > 0.5
    assert clear.sum() > 20
    np.testing.assert_array_equal(thumb[clear] > 0, towards[clear] > 0)
    skin = [cv2.mean(image[60:100, 60:100])[2] - cv2.mean(image[60:100, 60:100])[0] for image in images.image]
    assert np.median(skin) > 5  # redder than blue: BGR
