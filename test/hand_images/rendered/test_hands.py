"""Rendered training images: labels that are exact, the same images from the same seed, and shards by workers."""

import logging
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import view_keypoints
from hand_pose_ros.common.parts import Part
from hand_pose_ros.hand_images.rendered import objects as random_objects
from hand_pose_ros.hand_images.rendered.command import fill_shards, main, shard_jobs
from hand_pose_ros.hand_images.rendered.hands import render_hands
from hand_pose_ros.hand_images.rendered.objects import beside, in_grasp
from hand_pose_ros.hand_images.rendered.scene import RenderSettings
from hand_pose_ros.hand_images.rendered.wardrobe import PaintedSkin, Wardrobe, hand_surfaces, random_skin
from hand_pose_ros.hand_images.shards import HandImages, load_shard, shard_folders, view_to_pixels
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.rendering.background import BackgroundStock, list_photos
from hand_pose_ros.rendering.crop.solids import SOLIDS
from hand_pose_ros.synthetic.views import random_views

COUNT = 40
PLAIN = RenderSettings(
    grasped=0, in_front=0, behind=0, second_hand=0, sleeve=0, cast=0, border=0, rigged=0, natural=1
)
_NAMES = ("image", "visible")


@pytest.fixture(scope="module")
def wardrobe() -> Wardrobe:
    """The template with one skin: painting takes long."""
    made = Wardrobe((), np.random.default_rng(0))
    (surface,) = hand_surfaces(None)
    made.surfaces = (surface,)
    skin = surface.procedural(random_skin(np.random.default_rng(1)))
    made.skins = [[PaintedSkin(skin, keep_tone=True)]]
    return made


@pytest.fixture(scope="module")
def backgrounds() -> BackgroundStock:
    return BackgroundStock(np.random.default_rng(0), 6)


@pytest.fixture(scope="module")
def rendered(wardrobe, backgrounds) -> HandImages:
    return render_hands(COUNT, wardrobe, backgrounds, RenderSettings(), np.random.SeedSequence(3))


def test_same_seed_same_images(rendered, wardrobe, backgrounds):
    again = render_hands(COUNT, wardrobe, backgrounds, RenderSettings(), np.random.SeedSequence(3))
    for name, one, two in zip(HandImages._fields, rendered, again, strict=True):
        np.testing.assert_array_equal(one, two, err_msg=name)
    other = render_hands(COUNT, wardrobe, backgrounds, RenderSettings(), np.random.SeedSequence(4))
    assert (other.image != rendered.image).any(axis=(1, 2, 3)).all()


def test_labels_agree(rendered):
    for name, field in rendered._asdict().items():
        assert field.dtype != np.float32 or np.isfinite(field).all() or name == "detected", name
    assert not rendered.has_detection.any()  # no detector has seen them
    in_view = rendered.joints + rendered.wrist[:, None]
    points = in_view[..., :2] / in_view[..., 2:] / rendered.half_extent[:, None, None]
    np.testing.assert_allclose(points, rendered.points, atol=2e-6)
    np.testing.assert_allclose(np.abs(rendered.points).max(axis=(1, 2)), 1, atol=1e-6)
    np.testing.assert_array_equal(rendered.depth, rendered.joints[..., 2])
    angles, proportions, rotation = map(
        torch.from_numpy, (rendered.angles, rendered.proportions, rendered.rotation)
    )
    posed = forward_kinematics(angles, proportions, rotation).joints.numpy()
    np.testing.assert_allclose(posed, rendered.joints, atol=3e-6)
    # It is the canonical view already: looking again changes nothing.
    again = view_keypoints(torch.from_numpy(in_view).double())
    np.testing.assert_allclose(again.points, rendered.points, atol=1e-5)
    np.testing.assert_allclose(again.rotation, torch.eye(3).expand(COUNT, 3, 3), atol=1e-5)
    assert not (rendered.visible & ~rendered.inside).any()
    assert (rendered.weight == 1).all()
    assert (rendered.source == 0).all()


def test_visible_joints_are_on_the_hand(wardrobe, backgrounds):
    """A hand alone that glows in front of a black wall is where its joints are, and nowhere far from them."""
    black = BackgroundStock(np.random.default_rng(0), 1)
    black._pictures = [np.zeros((64, 64, 3), dtype=np.uint8)]
    black.cut = lambda size, generator: np.zeros((size, size, 3), dtype=np.uint8)
    images = render_hands(24, wardrobe, black, PLAIN, np.random.SeedSequence(1))
    lit = images.image.max(axis=-1) > 0
    for number in range(24):
        pixels = view_to_pixels(images.points[number])
        row, column = np.round(pixels[:, ::-1]).astype(int).T
        inside = images.inside[number]
        assert lit[number, row[inside], column[inside]].mean() > 0.95
        # Away from the arm, lit pixels are near a joint or a bone: within a fifth of the hand.
        bones = np.concatenate([
            pixels[parent] + np.linspace(0, 1, 9)[:, None] * (pixels[child] - pixels[parent])
            for parent, child in hand.BONES
        ])  # fmt: skip
        y, x = np.nonzero(lit[number][: int(pixels[0, 1])])
        if inside.all() and len(x):
            nearest = np.linalg.norm(np.stack((x, y), 1)[:, None] - bones, axis=-1).min(axis=1)
            assert np.mean(nearest < 16) > 0.9


def test_some_joints_are_hidden_and_the_thumb_side_is_right(rendered):
    assert 0.4 < rendered.visible.mean() < 0.9
    # An open right hand seen from its palm has the thumb on the image's right, from its back on the left.
    palm_away = rendered.rotation[:, 2, 2]  # the dorsal axis along the view: positive is a palm to the camera
    thumb = rendered.points[:, 2, 0] - rendered.points[:, 17, 0]
    clear = (np.abs(palm_away) > 0.8) & (np.abs(thumb) > 0.3)
    assert clear.sum() > 5
    assert (np.sign(thumb) == np.sign(palm_away))[clear].mean() > 0.9


@pytest.mark.parametrize("kind", SOLIDS)
def test_an_object_in_front_hides_joints(kind, wardrobe, backgrounds, monkeypatch):
    monkeypatch.setattr(random_objects, "SOLIDS", (kind,))
    seed = np.random.SeedSequence(11)
    alone = render_hands(16, wardrobe, backgrounds, PLAIN, seed)
    covered = render_hands(16, wardrobe, backgrounds, replace(PLAIN, in_front=1), seed)
    np.testing.assert_array_equal(alone.points[:1], covered.points[:1])
    assert covered.visible.mean() < alone.visible.mean() - 0.05


def test_second_hands_hide_joints_too(wardrobe, backgrounds):
    alone = render_hands(32, wardrobe, backgrounds, PLAIN, np.random.SeedSequence(5))
    both = render_hands(32, wardrobe, backgrounds, replace(PLAIN, second_hand=1), np.random.SeedSequence(5))
    assert both.visible.mean() < alone.visible.mean() - 0.05


def test_objects_are_where_they_should_be():
    generator = np.random.default_rng(0)
    joints = np.random.default_rng(1).normal(0, 0.04, (21, 3)) + (0.05, 0.02, 0.5)
    for _ in range(50):
        held = in_grasp(joints, generator)
        assert np.linalg.norm(held.centre - joints.mean(axis=0)) < 0.15
        assert (held.half_size > 0).all()
        np.testing.assert_allclose(held.rotation @ held.rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(held.rotation) == pytest.approx(1)
        assert beside(joints, (0.5, 0.7), (0.1, 0.3), generator).centre[2] < joints[:, 2].max() * 0.7
        assert beside(joints, (1.3, 1.5), (0.1, 0.3), generator).centre[2] > joints[:, 2].min() * 1.3


def test_what_the_camera_does_not_show_is_black(wardrobe, backgrounds):
    images = render_hands(32, wardrobe, backgrounds, replace(PLAIN, border=1), np.random.SeedSequence(2))
    outside = np.argwhere(~images.inside)
    assert len(outside)
    for number, joint in outside:
        column, row = np.round(view_to_pixels(images.points[number, joint])).astype(int)
        # The joint may be less than a pixel beyond the border.
        assert images.image[number, row - 1 : row + 2, column - 1 : column + 2].min() == 0


def test_share_of_held_up_hands():
    joints = forward_kinematics(torch.zeros(4000, hand.NUM_ANGLES), torch.ones(4000, hand.NUM_BONES)).joints
    up = [
        float(
            (random_views(joints, torch.Generator().manual_seed(0), share).rotation[:, 1, 0] < -0.7)
            .float()
            .mean()
        )
        for share in (0.0, 1.0)
    ]
    assert up[0] < 0.2
    assert up[1] > 0.6


def test_photos_are_used_as_backgrounds(tmp_path):
    cv2 = pytest.importorskip("cv2")
    with pytest.raises(ValueError, match="no picture"):
        list_photos(tmp_path)
    (tmp_path / "below").mkdir()
    cv2.imwrite(str(tmp_path / "below" / "green.png"), np.full((90, 120, 3), (0, 255, 0), dtype=np.uint8))
    stock = BackgroundStock(np.random.default_rng(0), 30, list_photos(tmp_path))
    green = [
        cut[..., 1].mean() > 1.5 * cut[..., [0, 2]].mean() + 30
        for cut in (stock.cut(64, np.random.default_rng(number)) for number in range(60))
    ]
    assert 15 < sum(green) < 55
    assert stock.cut(64, np.random.default_rng(0)).shape == (64, 64, 3)


def test_wrong_settings(tmp_path, caplog):
    with pytest.raises(ValueError, match="shares"):
        RenderSettings(natural=1.5)
    with pytest.raises(ValueError, match="positive"):
        shard_jobs(tmp_path, 0, 0, PLAIN)
    for arguments in (
        ["--count", "0"],
        ["--workers", "0"],
        ["--rigged", "/nowhere"],
        ["--sleeve-share", "2"],
    ):
        with pytest.raises(SystemExit):
            main([*arguments, "--output", str(tmp_path)])
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_workers_do_not_matter_and_complete_shards_stay(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    one, two = tmp_path / "one", tmp_path / "two"
    main(["--count", "10", "--shard-size", "4", "--seed", "5", "--workers", "1", "--output", str(one)])
    jobs = shard_jobs(two, 10, 5, RenderSettings(), 4)
    fill_shards(jobs[1:2], 1)
    kept = (two / "shard-00001" / "image.npy").stat().st_mtime_ns
    assert [job.number for job in shard_jobs(two, 10, 5, RenderSettings(), 4)] == [0, 2]
    for part in ("2/2", "1/2"):
        call = ["--count", "10", "--shard-size", "4", "--seed", "5", "--workers", "2", "--part", part]
        main([*call, "--output", str(two)])
    assert (two / "shard-00001" / "image.npy").stat().st_mtime_ns == kept
    assert [folder.name for folder in shard_folders(two)] == [f"shard-0000{number}" for number in range(3)]
    for first, second in zip(shard_folders(one), shard_folders(two), strict=True):
        for name, a, b in zip(HandImages._fields, load_shard(first), load_shard(second), strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)
    assert load_shard(one / "shard-00002").count == 2
    numbers = [job.number for k in (1, 2) for job in shard_jobs(tmp_path, 10, 5, PLAIN, 4, Part(k, 2))]
    assert numbers == [0, 1, 2]
    with pytest.raises(ValueError, match="other images"):
        shard_jobs(two, 10, 6, RenderSettings(), 4)
    assert asdict(RenderSettings())["rigged_folder"] is None
