"""Scenes: layers show the hands that their labels say; composing keeps labels exact and repeats by the seed."""

from __future__ import annotations

import numpy as np
import pytest

from hand_pose_ros.hand_images.rendered.wardrobe import PaintedSkin, Wardrobe, hand_surfaces, random_skin
from hand_pose_ros.hand_images.scenes.compose import Scene, SceneComposer, SceneOptions
from hand_pose_ros.hand_images.scenes.draw import EXTENT, render_layers
from hand_pose_ros.hand_images.scenes.layers import LAYER_PX, empty_layers, load_layers, save_layers
from hand_pose_ros.hand_images.scenes.photos import HandPhotos
from hand_pose_ros.rendering.background import BackgroundStock

COUNT = 24
SIZE = 96


@pytest.fixture(scope="module")
def wardrobe():
    made = Wardrobe((), np.random.default_rng(0))
    (surface,) = hand_surfaces(None)
    made.surfaces = (surface,)
    made.skins = [[PaintedSkin(surface.procedural(random_skin(np.random.default_rng(1))), keep_tone=True)]]
    return made


@pytest.fixture(scope="module")
def layers(wardrobe):
    return render_layers(COUNT, wardrobe, 0.0, np.random.SeedSequence(3))


@pytest.fixture(scope="module")
def backgrounds():
    return BackgroundStock(np.random.default_rng(0), 4)


def marked_photos(count=5):
    """Grey photos with a white dot at each joint, so that a composed image shows where the joints went."""
    generator = np.random.default_rng(4)
    image = np.full((count, 192, 192, 3), 90, np.uint8)
    points = generator.uniform(50, 142, (count, 21, 2)).round()
    for row in range(count):
        for x, y in points[row].astype(int):
            image[row, y - 2 : y + 3, x - 2 : x + 3] = 255
    shown = np.tile((0, 0, 192, 192), (count, 1))
    right = np.arange(count) % 2 == 0
    return HandPhotos(image, points.astype(np.float32), right, shown, np.full(count, 1 / count))


def test_layers_show_the_hands_that_they_label(layers):
    known = np.isfinite(layers.points).all((2, 3))
    assert set(known.sum(1)) >= {0, 1, 2}
    assert {False, True} == set(layers.right[known])
    extents = np.ptp(layers.points[known], axis=1).max(-1) / LAYER_PX
    assert extents.min() < 0.2
    assert extents.max() > 0.5
    assert extents.max() < 1.3 * EXTENT[1]  # perspective enlarges what is near
    for row, place in zip(*np.nonzero(known), strict=True):
        joints = layers.points[row, place]
        inside = ((joints >= 0) & (joints <= LAYER_PX - 1)).all(1)
        column, line = joints[inside].round().astype(int).T
        # A shown hand covers its own joints.
        assert (layers.bgra[row, line, column, 3] > 0).all()
        assert 0 <= layers.shown[row, place] <= 1


def test_the_same_seed_renders_the_same_layers(layers, wardrobe):
    again = render_layers(COUNT, wardrobe, 0.0, np.random.SeedSequence(3))
    for one, other in zip(layers, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_layers_are_stored_whole_or_not_at_all(layers, tmp_path):
    save_layers(tmp_path / "layers", layers, {"seed": 3})
    for one, other in zip(layers, load_layers(tmp_path / "layers"), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(FileExistsError):
        save_layers(tmp_path / "layers", layers, {})
    (tmp_path / "layers" / "layers.json").unlink()
    with pytest.raises(ValueError, match="hand_pose scenes"):
        load_layers(tmp_path / "layers")


@pytest.mark.parametrize("kind", [{"photo": 1.0, "tiles": 0.0, "both": 0.0}, {"photo": 0.0, "tiles": 1.0}])
def test_photos_keep_their_labels(kind, backgrounds):
    photos = marked_photos()
    options = SceneOptions(photo_background=0, barred=0, **kind)
    composer = SceneComposer(SIZE, None, photos, backgrounds, options)
    generator = np.random.default_rng(1)
    values = []
    for _ in range(12):
        scene = composer.make(generator, photometric=False)
        assert scene.image.shape == (SIZE, SIZE, 3)
        for points, shown in zip(scene.hands.points, scene.hands.shown, strict=True):
            if np.ptp(points, axis=0).max() < 40:
                continue  # the dots are too small to see
            inside = ((points > 1) & (points < SIZE - 2)).all(1)
            assert shown <= inside.mean() + 0.2
            if shown > 0.95:
                column, line = points[inside].round().astype(int).T
                values.append(scene.image[line, column].min(1).mean())
    assert len(values) >= 2
    assert min(values) > 120  # dots, not the grey around them


def test_mirroring_changes_the_side(backgrounds):
    photos = marked_photos(1)  # of a right hand, not symmetric
    options = SceneOptions(photo=1, tiles=0, both=0, turn_deg=0, turned=0, barred=0)
    composer = SceneComposer(SIZE, None, photos, backgrounds, options)
    generator = np.random.default_rng(5)
    sides = set()
    for _ in range(12):
        points, right = (one[0] for one in composer.make(generator, photometric=False).hands[:2])
        order = np.sign(np.cross(points[5] - points[0], points[17] - points[0]))
        original = np.sign(np.cross(*(photos.points[0, [5, 17]] - photos.points[0, 0])))
        assert (order == original) == right
        sides.add(bool(right))
    assert sides == {False, True}


def test_scenes_of_all_kinds_repeat_by_the_seed(layers, backgrounds):
    composer = SceneComposer(SIZE, layers, marked_photos(), backgrounds)

    def scenes(seed) -> list[Scene]:
        generator = np.random.default_rng(seed)
        return [composer.make(generator) for _ in range(10)]

    for one, other in zip(scenes(1), scenes(1), strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.hands.points, other.hands.points)
    assert any((a.image != b.image).any() for a, b in zip(scenes(1), scenes(2), strict=True))


def test_bars_hide_what_they_cover(layers, backgrounds):
    composer = SceneComposer(SIZE, layers, None, backgrounds, SceneOptions(barred=1))
    generator = np.random.default_rng(2)
    for _ in range(8):
        scene = composer.make(generator)
        edges = scene.image[0], scene.image[:, 0]
        assert any((edge == 114).all() for edge in edges)
        for points, shown in zip(scene.hands.points, scene.hands.shown, strict=True):
            inside = ((points >= -0.5) & (points <= SIZE - 0.5)).all(1).mean()
            assert shown <= inside + 1e-9


def test_scenes_need_something_to_show(backgrounds):
    with pytest.raises(ValueError, match="layers, photos"):
        SceneComposer(SIZE, None, None, backgrounds)
    with pytest.raises(ValueError, match="shares"):
        SceneOptions(photo=0.7, tiles=0.5)
    assert not np.isfinite(empty_layers(1).points).any()
