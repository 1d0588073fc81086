"""Every reader, on a miniature copy of its set: labels, images, order of joints, side, and malformed files."""

import re

import numpy as np
import pytest
from helpers.hand_geometry import are_in_our_order, side_of
from helpers.miniature_sets import INTERHAND_ORDER, MANO_ORDER, OPTIONS, RHD_ORDER, STB_ORDER, WRITERS

from hand_pose_ros import hand
from hand_pose_ros.datasets.joint_orders import palm_centre_from_wrist
from hand_pose_ros.datasets.registry import SETS, open_set
from hand_pose_ros.datasets.storage.files import MalformedFileError

IN_2D = ("hand_labels", "coco")
TIPS_ONLY = ("dexter_object", "ego_dexter")


@pytest.fixture(scope="session")
def miniature(tmp_path_factory):
    made = {}

    def make(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            made[name] = (folder, WRITERS[name](folder))
        folder, expected = made[name]
        return open_set(name, folder, OPTIONS.get(name)), expected

    return make


def test_every_set_has_a_miniature():
    assert set(WRITERS) == set(SETS)


@pytest.mark.parametrize("name", SETS)
def test_hands_are_those_that_were_written(miniature, name):
    hands, expected = miniature(name)
    assert len(hands) == len(expected)
    for number, (one, truth) in enumerate(zip(hands, expected, strict=True)):
        assert one.side == truth.hand.side
        assert one.group == truth.group
        image = one.image()
        if truth.image is not None:
            np.testing.assert_array_equal(image, truth.image)
        elif one.camera is not None:
            assert image.shape == (truth.camera.height, truth.camera.width, 3)
        joints = truth.hand.joints_m
        if one.palm_root:
            joints = palm_centre_from_wrist(joints)
        known = one.known
        np.testing.assert_allclose(one.joints_m[known], joints[known], atol=1e-6)
        if name in IN_2D:
            np.testing.assert_allclose(one.points_px, truth.hand.points_px, atol=1e-6)
        elif name in TIPS_ONLY:
            tips = [joint for joint in hand.FINGERTIPS if joint != 4 or number % 2 == 0]
            assert np.flatnonzero(known).tolist() == tips
        else:
            assert known.all()


@pytest.mark.parametrize("name", [name for name in SETS if name not in IN_2D])
def test_labels_reproject_with_the_sets_own_camera(miniature, name):
    for one, truth in zip(*miniature(name), strict=True):
        points = truth.hand.points_px.copy()
        if one.palm_root:
            points[0] = np.nan
        error = np.linalg.norm(one.points_px - points, axis=1)
        assert np.nanmax(error) < 0.05
        (fx, _, cx), (_, fy, cy), _ = one.camera.K.tolist()
        by_hand = one.joints_m[:, :2] / one.joints_m[:, 2:] * (fx, fy) + (cx, cy)
        assert np.nanmax(np.linalg.norm(by_hand - one.points_px, axis=1)) < 0.05


@pytest.mark.parametrize("name", [name for name in SETS if name not in IN_2D + TIPS_ONLY])
def test_order_and_side_follow_from_the_joints_themselves(miniature, name):
    hands, _ = miniature(name)
    for one in hands:
        joints = one.joints_with_wrist_m
        assert are_in_our_order(joints)
        assert side_of(joints) == one.side
        for order in (RHD_ORDER, STB_ORDER, INTERHAND_ORDER, MANO_ORDER):
            assert not are_in_our_order(joints[order])
        assert side_of(joints * (-1, 1, 1)) != one.side


@pytest.mark.parametrize("name", SETS)
def test_random_access_equals_iteration_and_the_index_is_reused(miniature, name, monkeypatch):
    hands, _ = miniature(name)
    for number, one in enumerate(hands):
        for other in (hands[number], hands[number - len(hands)]):
            assert other.path == one.path
            np.testing.assert_array_equal(other.joints_m, one.joints_m)
    with pytest.raises(IndexError):
        hands[len(hands)]
    monkeypatch.setattr(SETS[name], "rows", lambda self, refuse: pytest.fail("indexed again"))
    assert len(open_set(name, hands.folder, OPTIONS.get(name))) == len(hands)


@pytest.mark.parametrize("name", SETS)
def test_a_missing_image_is_named(tmp_path, name):
    WRITERS[name](tmp_path)
    hands = open_set(name, tmp_path, OPTIONS.get(name))
    path = hands[1].path
    path.unlink()
    with pytest.raises(MalformedFileError, match=path.name):
        hands[1].image()


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("content", [None, b"\x80\x04 nothing {"])
def test_a_missing_or_damaged_index_file_is_named(tmp_path, name, content):
    WRITERS[name](tmp_path)
    source = open_set(name, tmp_path, OPTIONS.get(name)).sources()[0]
    if content is None:
        source.unlink()
        if name in ("hand_labels", "dexycb"):
            return  # these list what is there
    else:
        source.write_bytes(content)
    with pytest.raises(MalformedFileError, match=source.name):
        open_set(name, tmp_path, OPTIONS.get(name))


def test_another_size_of_an_image_is_refused(tmp_path):
    WRITERS["samples"](tmp_path)
    hands = open_set("samples", tmp_path)
    (tmp_path / "0.png").write_bytes((tmp_path / "1.png").read_bytes())
    hands[0].image()
    WRITERS["rhd"](tmp_path / "rhd")
    (tmp_path / "0.png").write_bytes((tmp_path / "rhd" / "evaluation" / "color" / "00000.png").read_bytes())
    with pytest.raises(MalformedFileError, match=r"0\.png.*320 x 320"):
        hands[0].image()


def test_the_example_of_the_documentation(repository, tmp_path):
    page = (repository / "docs" / "use" / "datasets.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    expected = WRITERS["rhd"](tmp_path)
    names: dict = {}
    code = code.replace("/data/RHD_published_v2", str(tmp_path)).replace("hands[7]", "hands[1]")
    exec(compile(code, "datasets.md", "exec"), names)
    np.testing.assert_array_equal(names["hand"].image(), expected[1].image)


def test_unknown_sets_and_options_are_refused(tmp_path):
    with pytest.raises(ValueError, match="unknown data set"):
        open_set("imagenet", tmp_path)
    with pytest.raises(ValueError, match="part"):
        open_set("rhd", tmp_path, {"part": "evaluation"})
    with pytest.raises(ValueError, match="malformed must be"):
        open_set("rhd", tmp_path, malformed="ignored")
