"""What the options of the readers choose, and malformed entries, which are fatal or skipped."""

import json
import pickle
import shutil

import numpy as np
import pytest
import scipy.io
from helpers.miniature_sets import (
    DEXYCB_SERIALS,
    write_dexter_object,
    write_dexycb,
    write_ego_dexter,
    write_freihand,
    write_hand_labels,
    write_ho3d,
    write_interhand26m,
    write_rhd,
    write_samples,
    write_stb,
)

from hand_pose_ros.datasets.readers.dexycb import SERIALS, split_of
from hand_pose_ros.datasets.registry import open_set
from hand_pose_ros.datasets.storage.files import MalformedFileError


def test_rhd_gives_the_prominent_hand_or_all(tmp_path):
    expected = write_rhd(tmp_path)
    prominent = open_set("rhd", tmp_path)
    assert [one.side for one in prominent] == ["right", "left"]
    for one, truth in zip(prominent, expected, strict=True):
        np.testing.assert_array_equal(one.read_mask(), truth.hand.mask)
        np.testing.assert_array_equal(one.visible, truth.hand.visible)
        assert not one.visible.all()
    both = open_set("rhd", tmp_path, {"hands": "all"})
    assert [(one.frame, one.side) for one in both] == [(0, "left"), (0, "right"), (1, "left"), (1, "right")]


def test_stb_has_two_cameras_with_a_baseline(tmp_path):
    write_stb(tmp_path)
    both = open_set("stb", tmp_path, {"camera": "both"})
    left, right = both[0], both[1]
    assert (left.camera_name, right.camera_name) == ("BB_left", "BB_right")
    np.testing.assert_allclose(left.joints_m - right.joints_m, np.tile((0.120054, 0, 0), (21, 1)), atol=1e-9)
    disparity = left.points_px - right.points_px
    np.testing.assert_allclose(disparity[:, 0], 822.79041 * 0.120054 / left.joints_m[:, 2])
    np.testing.assert_allclose(disparity[:, 1], 0, atol=1e-9)
    with pytest.raises(MalformedFileError, match=r"B2Counting_BB\.mat: missing"):
        open_set("stb", tmp_path, {"split": "training"})


def test_stb_images_may_lie_below_a_folder(tmp_path):
    expected = write_stb(tmp_path)
    (tmp_path / "images").mkdir()
    for sequence in ("B1Counting", "B1Random"):
        shutil.move(tmp_path / sequence, tmp_path / "images" / sequence)
    np.testing.assert_array_equal(open_set("stb", tmp_path)[0].image(), expected[0].image)


def test_interhand_tells_kinds_annotators_and_versions_apart(tmp_path):
    write_interhand26m(tmp_path, "human_annot")
    human = {"annotator": "human_annot"}
    single = open_set("interhand26m", tmp_path, human | {"hands": "single"})
    pair = open_set("interhand26m", tmp_path, human | {"hands": "interacting"})
    assert [one.side for one in single] == ["right", "left"]
    assert [one.side for one in pair] == ["right", "left"]
    assert pair[0].path == pair[1].path
    assert (pair[0].subject, pair[0].sequence) == ("2", "Capture3/0390_dh_touchROM")
    with pytest.raises(MalformedFileError, match="machine_annot"):
        open_set("interhand26m", tmp_path, {"annotator": "machine_annot"})
    write_interhand26m(tmp_path / "1.0", "test")
    assert len(open_set("interhand26m", tmp_path / "1.0")) == 4


def test_interhand_joints_that_are_not_valid_are_unknown(tmp_path):
    write_interhand26m(tmp_path)
    path = tmp_path / "annotations" / "all" / "InterHand2.6M_test_data.json"
    data = json.loads(path.read_text())
    data["annotations"][0]["joint_valid"][4] = [0]  # the index finger's tip of the right hand
    path.write_text(json.dumps(data))
    one = open_set("interhand26m", tmp_path)[0]
    assert np.flatnonzero(~one.known).tolist() == [8]
    assert np.isnan(one.points_px[8]).all()


def test_freihand_training_images_come_in_four_versions(tmp_path):
    expected = write_freihand(tmp_path)
    hands = open_set("freihand", tmp_path, {"split": "training"})
    assert len(hands) == 8
    names = [one.path.name for one in hands]
    assert names == [f"{number:08d}.jpg" for number in range(8)]
    np.testing.assert_allclose(hands[5].joints_m, expected[1].hand.joints_m, atol=1e-12)
    mask = hands[5].read_mask()
    assert (mask != expected[1].hand.mask).mean() < 0.01
    assert len(open_set("freihand", tmp_path, {"split": "training", "versions": "green_screen"})) == 2


def test_freihand_meshes_may_be_left_out(tmp_path):
    expected = write_freihand(tmp_path)
    (tmp_path / "evaluation_verts.json").unlink()
    assert open_set("freihand", tmp_path, {"vertices": False})[0].vertices_m is None
    with pytest.raises(MalformedFileError, match=r"evaluation_verts\.json"):
        open_set("freihand", tmp_path)
    write_freihand(tmp_path)
    vertices = open_set("freihand", tmp_path)[0].vertices_m
    np.testing.assert_allclose(vertices[0], expected[0].hand.vertices_m[0], atol=1e-6)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_ho3d_turns_opengl_axes(tmp_path, suffix):
    expected = write_ho3d(tmp_path, suffix)
    for one, truth in zip(open_set("ho3d", tmp_path, {"split": "train"}), expected, strict=True):
        np.testing.assert_allclose(one.joints_m, truth.hand.joints_m, atol=1e-9)
        assert (one.joints_m[:, 2] > 0).all()
        assert one.path.suffix == f".{suffix}"
        assert one.image().shape == (480, 640, 3)
        assert (one.subject, one.sequence) == ("ABF", "ABF10")


def test_ho3d_without_ground_truth_has_a_root_and_a_box(tmp_path):
    expected = write_ho3d(tmp_path)
    hands = open_set("ho3d", tmp_path)
    assert not hands.has_truth
    one, truth = hands[0], expected[0].hand
    assert np.flatnonzero(one.known).tolist() == [0]
    np.testing.assert_allclose(one.joints_m[0], truth.joints_m[0], atol=1e-9)
    np.testing.assert_allclose(one.box_px, [*truth.points_px.min(0), *truth.points_px.max(0)])


def test_ho3d_frames_may_have_no_labels(tmp_path):
    write_ho3d(tmp_path)
    path = tmp_path / "train" / "ABF10" / "meta" / "0001.pkl"
    labels = pickle.loads(path.read_bytes())  # noqa: S301 - written above
    path.write_bytes(pickle.dumps(labels | {"handJoints3D": None}))
    assert not open_set("ho3d", tmp_path, {"split": "train"})[1].known.any()


def test_dexycb_splits_have_the_published_sizes():
    """Chao et al. 2021: 1,000 sequences by 8 cameras, of which each setup trains on some and holds others out."""
    sizes = {
        (setup, part): tuple(map(len, split_of(setup, part)))
        for setup in ("s0", "s1", "s2", "s3")
        for part in ("train", "val", "test")
    }
    assert sizes == {
        ("s0", "train"): (10, 8, 80), ("s0", "val"): (2, 8, 20), ("s0", "test"): (8, 8, 20),
        ("s1", "train"): (7, 8, 100), ("s1", "val"): (1, 8, 100), ("s1", "test"): (2, 8, 100),
        ("s2", "train"): (10, 6, 100), ("s2", "val"): (10, 1, 100), ("s2", "test"): (10, 1, 100),
        ("s3", "train"): (10, 8, 75), ("s3", "val"): (10, 8, 10), ("s3", "test"): (10, 8, 15),
    }  # fmt: skip
    for setup in ("s0", "s1", "s2", "s3"):
        parts = [split_of(setup, part) for part in ("train", "val", "test")]
        cells = [{(a, b, c) for a in p[0] for b in p[1] for c in p[2]} for p in parts]
        assert sum(map(len, cells)) == len(set().union(*cells)) == 8000
    with pytest.raises(ValueError, match="setup must be"):
        split_of("s4", "test")


def test_dexycb_with_published_splits(tmp_path):
    """Ten subjects of a hundred sequences; of the held-out ones only one camera and sequence has files."""
    write_dexycb(tmp_path / "material")
    for subject in range(10):
        for sequence in range(100):
            (tmp_path / f"202007{subject:02d}-subject-{subject}" / f"s{sequence:03d}").mkdir(parents=True)
    intrinsics = tmp_path / "calibration" / "intrinsics"
    intrinsics.mkdir(parents=True)
    for serial in SERIALS:
        of_any = tmp_path / "material" / "calibration" / "intrinsics" / f"{DEXYCB_SERIALS[0]}_640x480.yml"
        shutil.copy(of_any, intrinsics / f"{serial}_640x480.yml")
    source = tmp_path / "material" / "20200709-subject-01" / "20200709_141740"
    for subject in range(2, 10):
        for sequence in range(4, 100, 5):
            folder = tmp_path / f"202007{subject:02d}-subject-{subject}" / f"s{sequence:03d}"
            (folder / "meta.yml").write_text("num_frames: 0\nmano_sides: [right]\n")
    chosen = tmp_path / "20200707-subject-7" / "s049"
    (chosen / "meta.yml").write_text("num_frames: 1\nmano_sides: [right]\n")
    for serial in SERIALS:
        shutil.copytree(source / DEXYCB_SERIALS[0], chosen / serial)
    hands = open_set("dexycb", tmp_path)
    assert [(one.sequence, one.camera_name) for one in hands] == [
        ("20200707-subject-7/s049", serial) for serial in SERIALS
    ]
    (tmp_path / "20200705-subject-5" / "s003").rmdir()
    with pytest.raises(MalformedFileError, match=r"subject-5: has 99 sequences.*setup=all"):
        open_set("dexycb", tmp_path)


def test_dexycb_filters(tmp_path):
    expected = write_dexycb(tmp_path)
    assert len(expected) == 6
    options = {"setup": "all"}
    left = open_set("dexycb", tmp_path, options | {"side": "left"})
    assert {one.side for one in left} == {"left"}
    np.testing.assert_array_equal(left[0].read_mask(), expected[3].hand.mask)
    path = left[0].path.with_name("labels_000000.npz")
    with np.load(path) as stored:
        labels = dict(stored)
    labels["joint_2d"] += 2000
    np.savez(path, **labels)
    assert len(open_set("dexycb", tmp_path, options | {"filter": "in_image"})) == 5


def test_mvbs(tmp_path):
    points = np.column_stack((np.arange(42.0).reshape(21, 2), np.ones(21)))
    (tmp_path / "hands_v143_14817.json").write_text(
        json.dumps({"root": [{"joint_self": points.tolist()}] * 2})
    )
    hands = open_set("hand_labels", tmp_path, {"split": "mvbs"})
    assert hands[1].path == tmp_path / "imgs" / "00000001.jpg"
    assert hands[1].side == "right"
    np.testing.assert_array_equal(hands[1].points_px, points[:, :2])


def test_hand_labels_have_a_head_and_a_box_of_it(tmp_path):
    write_hand_labels(tmp_path)
    one = open_set("hand_labels", tmp_path)[1]
    assert one.head_size_px == 120
    np.testing.assert_allclose(one.box_px[2:] - one.box_px[:2], 84)
    path = one.path.with_suffix(".json")
    entry = json.loads(path.read_text())
    del entry["head_size"]
    path.write_text(json.dumps(entry | {"head_box": [[10, 20], [40, 60]]}))
    assert open_set("hand_labels", tmp_path)[1].head_size_px == pytest.approx(0.6 * 50)


@pytest.mark.parametrize(
    ("name", "write"), [("dexter_object", write_dexter_object), ("ego_dexter", write_ego_dexter)]
)
def test_fingertip_files_must_fit_their_images(tmp_path, name, write):
    write(tmp_path)
    (path,) = (
        tmp_path.glob("data/[GD]*/annotations/*3D.txt")
        if name == "dexter_object"
        else tmp_path.glob("data/D*/*3D.txt")
    )
    text = path.read_text()
    path.write_text(text.splitlines()[0] + "\n")
    with pytest.raises(MalformedFileError, match="has 1 lines for the 2 images"):
        open_set(name, tmp_path)
    path.write_text(text.replace(";", ",", 1))
    with pytest.raises(MalformedFileError, match="line 1 must hold five points"):
        open_set(name, tmp_path)
    assert len(open_set(name, tmp_path, malformed="skipped")) == 2


def _spoil_rhd(folder):
    write_rhd(folder)
    path = folder / "evaluation" / "anno_evaluation.pickle"
    annotations = pickle.loads(path.read_bytes())  # noqa: S301 - written above
    annotations[0]["xyz"] = annotations[0]["xyz"][:40]
    path.write_bytes(pickle.dumps(annotations))
    return "anno_evaluation.pickle", 1


def _spoil_stb(folder):
    write_stb(folder)
    scipy.io.savemat(folder / "labels" / "B1Random_BB.mat", {"handPara": np.zeros((3, 20, 5))})
    return "B1Random_BB.mat", 2


def _spoil_interhand(folder):
    write_interhand26m(folder)
    path = folder / "annotations" / "all" / "InterHand2.6M_test_joint_3d.json"
    joints = json.loads(path.read_text())
    del joints["3"]["2"]
    path.write_text(json.dumps(joints))
    return "InterHand2.6M_test_joint_3d.json", 2


def _spoil_freihand(folder):
    write_freihand(folder)
    path = folder / "evaluation_xyz.json"
    joints = json.loads(path.read_text())
    joints[0] = "nothing"
    path.write_text(json.dumps(joints))
    return "evaluation_xyz.json", 1


def _spoil_dexycb(folder):
    write_dexycb(folder)
    next(folder.glob("20*/*/*/labels_000000.npz")).write_bytes(b"not an archive")
    return "labels_000000.npz", 5


def _spoil_samples(folder):
    write_samples(folder)
    path = folder / "samples.json"
    samples = json.loads(path.read_text())
    samples["samples"][1]["hand"] = "middle"
    path.write_text(json.dumps(samples))
    return "samples.json", 1


@pytest.mark.parametrize(
    ("name", "spoil"),
    [("rhd", _spoil_rhd), ("stb", _spoil_stb), ("interhand26m", _spoil_interhand), ("freihand", _spoil_freihand),
     ("dexycb", _spoil_dexycb), ("samples", _spoil_samples)],
)  # fmt: skip
def test_a_malformed_entry_is_fatal_or_skipped(tmp_path, name, spoil):
    file, left = spoil(tmp_path)
    options = {"setup": "all"} if name == "dexycb" else {}
    with pytest.raises(MalformedFileError, match=file):
        open_set(name, tmp_path, options)
    hands = open_set(name, tmp_path, options, malformed="skipped")
    assert len(list(hands)) == left
    assert file in hands.skipped[0]
    with pytest.raises(MalformedFileError, match=file):
        open_set(name, tmp_path, options)


def test_labels_that_are_read_late_are_fatal_or_skipped(tmp_path):
    write_ho3d(tmp_path)
    path = tmp_path / "train" / "ABF10" / "meta" / "0000.pkl"
    path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(MalformedFileError, match=r"0000\.pkl: not a pickle of numbers"):
        list(open_set("ho3d", tmp_path, {"split": "train"}))
    assert len(list(open_set("ho3d", tmp_path, {"split": "train"}, malformed="skipped"))) == 1
