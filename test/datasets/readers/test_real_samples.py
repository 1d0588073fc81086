"""The readers on excerpts of the real sets; skipped where they are not beside the checkout."""

import json
import pickle
import shutil

import cv2
import numpy as np
import pytest
import yaml
from helpers.hand_geometry import are_in_our_order, side_of

from hand_pose_ros.datasets.photo_folder import read_samples
from hand_pose_ros.datasets.registry import open_set
from hand_pose_ros.datasets.storage.files import read_pickle


@pytest.fixture
def beside(shared_data, tmp_path):
    """Make a folder whose files are links to those of an excerpt, so that the index does not go there."""

    def link(name):
        folder = tmp_path / name
        folder.mkdir()
        for path in (shared_data / name).iterdir():
            (folder / path.name).symlink_to(path)
        return folder

    return link


def test_interhand26m(beside, tmp_path):
    source = beside("mmpose_interhand26m")
    folder = tmp_path / "interhand26m"
    for part in ("data", "camera", "joint_3d"):
        path = folder / "annotations" / "all" / f"InterHand2.6M_test_{part}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / f"test_interhand2.6m_{part}.json", path)
    (folder / "images").mkdir()
    (folder / "images" / "test").symlink_to(source)
    hands = {(one.path.name, one.side): one for one in open_set("interhand26m", folder)}
    samples = read_samples(source)
    assert len(samples) == 3
    for sample in samples:
        one = hands[sample.path.name, sample.side]
        known = np.isfinite(sample.joints_m).all(1) & one.known
        assert known.sum() >= 20
        np.testing.assert_allclose(one.joints_m[known], sample.joints_m[known], atol=1e-5)
        assert np.abs(one.points_px[known] - sample.points_px[known]).max() < 0.05
        assert one.camera.fx == pytest.approx(sample.camera.fx, abs=1e-3)
        assert are_in_our_order(one.joints_m)
        np.testing.assert_array_equal(one.image(), sample.image())


def test_rhd_in_coco_style(beside):
    folder = beside("mmpose_rhd_synthetic")
    options = {"annotations": "test_rhd.json", "images": "", "order": "rhd"}
    hands = {one.path.name: one for one in open_set("coco", folder, options)}
    samples = read_samples(folder)
    assert len(samples) == 3
    for sample in samples:
        one = hands[sample.path.name]
        assert one.side == sample.side
        np.testing.assert_allclose(one.joints_m, sample.joints_m, atol=1e-6)
        np.testing.assert_allclose(one.points_px, sample.points_px, atol=1e-3)
        projected = one.camera.project(_tensor(one.joints_m)).numpy()
        assert np.linalg.norm(projected - one.points_px, axis=1).max() < 0.5
        assert are_in_our_order(one.joints_m)
        assert one.image().shape == (320, 320, 3)


@pytest.mark.parametrize(
    ("name", "file"),
    [("mmpose_freihand_2d", "test_freihand.json"), ("mmpose_panoptic_2d", "test_panoptic.json")],
)
def test_hands_in_2d(beside, name, file):
    folder = beside(name)
    hands = {one.path.name: one for one in open_set("coco", folder, {"annotations": file, "images": ""})}
    for sample in json.loads((folder / "samples.json").read_text())["samples"]:
        one = hands[sample["image"]]
        np.testing.assert_allclose(one.points_px, sample["uv"], atol=1e-2)
        assert one.camera is None
        assert (one.head_size_px is not None) == (name == "mmpose_panoptic_2d")
        assert one.image().ndim == 3


def test_coco_wholebody(beside):
    folder = beside("mmpose_coco_wholebody_2d")
    options = {"annotations": "test_coco_wholebody.json", "images": ""}
    hands = list(open_set("coco", folder, options))
    annotations = json.loads((folder / "test_coco_wholebody.json").read_text())["annotations"]
    valid = sum(one["lefthand_valid"] + one["righthand_valid"] for one in annotations)
    assert len(hands) == valid == 10
    for one in hands:
        height, width = one.image().shape[:2]
        assert ((one.points_px > -1) & (one.points_px < (width, height))).all(1).mean() > 0.9


def test_dexycb_layout(shared_data, tmp_path):
    """The recording's own calibration, folders and images; its labels are made from its samples."""
    source = shared_data / "hankpan_multiview"
    sequence = tmp_path / "20221001" / "20221001_171108"
    sequence.mkdir(parents=True)
    (tmp_path / "calibration").symlink_to(source / "calibration")
    meta = yaml.safe_load((source / "meta.yml").read_text())
    (sequence / "meta.yml").write_text(yaml.safe_dump(meta | {"num_frames": 3}))
    samples = {(one.path.parent.name, one.path.name): one for one in read_samples(source)}
    used = {}
    for (serial, name), sample in samples.items():
        if serial != "141122079464" or int(name[6:12]) >= 3:
            continue
        frame = int(name[6:12])
        (sequence / serial).mkdir(exist_ok=True)
        (sequence / serial / name).symlink_to(sample.path)
        labels = {"joint_3d": sample.joints_m[None], "joint_2d": sample.points_px[None]}
        np.savez(sequence / serial / f"labels_{frame:06d}.npz", **labels)
        used[frame] = sample
    hands = list(open_set("dexycb", tmp_path, {"setup": "all"}))
    assert len(hands) == len(used) == 3
    for one in hands:
        sample = used[one.frame]
        np.testing.assert_allclose(one.camera.K.numpy(), sample.camera.K.numpy(), atol=1e-3)
        known = one.known
        projected = one.camera.project(_tensor(one.joints_m)).numpy()[known]
        assert np.linalg.norm(projected - sample.points_px[known], axis=1).max() < 0.5
        assert one.side == sample.side == "right"
        np.testing.assert_array_equal(one.image(), cv2.imread(str(sample.path)))


def test_recorded_poses_of_dexycb_have_our_order_and_are_left_hands(shared_data):
    with np.load(shared_data / "pose_prior" / "dexycb_left_joints_eval_only.npz") as stored:
        poses = stored["xyz_mm"][::500] * 1e-3
    assert np.mean([are_in_our_order(one) for one in poses]) > 0.9
    assert np.mean([side_of(one) == "left" for one in poses]) > 0.9


def test_samples(beside):
    folder = beside("calibrated_left24")
    hands = open_set("samples", folder)
    samples = read_samples(folder)
    assert len(hands) == len(samples)
    for one, sample in zip(hands, samples, strict=True):
        assert (one.path, one.side, one.camera) == (sample.path, sample.side, sample.camera)
        np.testing.assert_array_equal(one.joints_m, sample.joints_m)


def _tensor(joints):
    import torch

    return torch.from_numpy(joints)


def test_a_pickle_of_python_2_is_read_as_the_plain_reader_reads_it(shared_data):
    """Demonstrations of the Adroit hand (DAPG), a file that is known to be harmless."""
    (path,) = (shared_data / "pose_prior").rglob("door-v0_demos.pickle")
    with path.open("rb") as file:
        plain = pickle.load(file, encoding="latin1")  # noqa: S301 - to compare with
    restricted = read_pickle(path)
    assert len(restricted) == len(plain) == 25
    for one, other in zip(restricted, plain, strict=True):
        assert one.keys() == other.keys()
        np.testing.assert_array_equal(one["observations"], other["observations"])
