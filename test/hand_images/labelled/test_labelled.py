"""``hand_pose dataset``: labels are checked and drawn, and converted to hand images that say the same."""

import json

import cv2
import numpy as np
import pytest
import torch
from helpers.hand_images import assert_same_shards
from helpers.miniature_sets import OPTIONS, WRITERS, write_interhand26m, write_samples

from hand_pose_ros import hand
from hand_pose_ros.datasets.registry import SETS, open_set
from hand_pose_ros.hand_images.labelled import write
from hand_pose_ros.hand_images.labelled.checks import bones_within, check_labels, side_by_bend
from hand_pose_ros.hand_images.labelled.command import main, parse_options, spread
from hand_pose_ros.hand_images.labelled.convert import convert, convertible
from hand_pose_ros.hand_images.labelled.write import FIRST_SOURCE
from hand_pose_ros.hand_images.shards import ShardedHandImages, check_hand_images, shard_info, view_to_pixels
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.training.tasks.images import batches

IN_3D = [name for name in SETS if name not in ("hand_labels", "coco", "dexter_object", "ego_dexter")]


@pytest.mark.parametrize("name", SETS)
def test_show_checks_and_draws_every_set(tmp_path, capsys, name):
    WRITERS[name](tmp_path / "set")
    options = [
        part for key, value in OPTIONS.get(name, {}).items() for part in ("--option", f"{key}={value}")
    ]
    sheet = tmp_path / "sheet.png"
    assert main(["show", name, str(tmp_path / "set"), "--output", str(sheet), *options]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{SETS[name].title}: ")
    assert cv2.imread(str(sheet)) is not None
    if name in IN_3D:
        assert "bones of a length that a hand has: 100.0 %" in text
        assert "stated side: 100.0 %" in text
    if name not in ("hand_labels", "coco"):
        (line,) = [line for line in text.splitlines() if "reproject" in line]
        assert float(line.split()[3]) < 0.5


def test_checks_find_wrong_labels(tmp_path):
    write_samples(tmp_path)
    path = tmp_path / "samples.json"
    samples = json.loads(path.read_text())
    samples["samples"][0]["hand"] = "right"  # a left hand
    samples["samples"][1]["K"][0][0] *= 1.1
    joints = samples["samples"][1]["xyz_m"]
    joints[5], joints[8] = joints[8], joints[5]
    path.write_text(json.dumps(samples))
    found = check_labels(open_set("samples", tmp_path))
    assert found.side_agrees[0] is False
    assert max(found.reprojection_px) > 5
    assert found.bones_within[0] == 1
    assert found.bones_within[1] < 0.9


def test_straight_fingers_say_no_side():
    angles = torch.zeros(hand.NUM_ANGLES, dtype=torch.float64)
    proportions = torch.tensor([one[1] for one in hand.PROPORTIONS], dtype=torch.float64)
    flat = forward_kinematics(angles, proportions, None, None, 0.09).joints.numpy()
    assert side_by_bend(flat) == ""
    assert bones_within(flat).all()


@pytest.mark.parametrize("name", IN_3D)
def test_converted_hands_say_what_the_labels_say(tmp_path, name):
    WRITERS[name](tmp_path)
    hands = list(open_set(name, tmp_path, OPTIONS.get(name)))
    images, reasons = convert(hands, 1003)
    check_hand_images(images)
    assert not reasons
    assert images.count == len(hands)
    assert (images.source == 1003).all()
    for row, one in enumerate(hands):
        joints = one.joints_with_wrist_m
        # The view is that of a right hand: distances between joints are those of the labels.
        anchor = np.linalg.norm(joints[0] - joints[hand.ANCHOR_JOINT])
        placed = images.joints[row] + images.wrist[row]
        stored = np.linalg.norm(placed, axis=1) / np.linalg.norm(images.joints[row, hand.ANCHOR_JOINT])
        np.testing.assert_allclose(stored * anchor, np.linalg.norm(joints, axis=1), rtol=1e-4)
        projected = placed[:, :2] / placed[:, 2:] / images.half_extent[row]
        np.testing.assert_allclose(projected, images.points[row], atol=1e-4)
        assert np.abs(images.points[row]).max() == pytest.approx(1, abs=1e-4)
        assert images.inside[row].all()
        # Angles, proportions and rotation are of the same hand.
        frames = forward_kinematics(
            *(
                torch.from_numpy(np.asarray(part[row]))
                for part in (images.angles, images.proportions, images.rotation)
            )
        )
        assert np.linalg.norm(frames.joints.numpy() - images.joints[row], axis=1).mean() < 0.03


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_image_shows_the_joints_where_the_points_say(tmp_path, side):
    write_samples(tmp_path)
    one = next(one for one in open_set("samples", tmp_path) if one.side == side)
    drawn = cv2.circle(
        one.image(), tuple(one.points_px[8].round().astype(int).tolist()), 4, (255, 0, 255), -1
    )
    cv2.imwrite(str(one.path), drawn)
    images, _ = convert([one], 0)
    x, y = view_to_pixels(images.points[0, 8]).round().astype(int)
    blue, green, red = images.image[0, y, x].astype(int)
    assert min(blue, red) > 200
    assert green < 60


def test_hands_without_3d_are_left_out_and_counted(tmp_path, capsys):
    WRITERS["coco"](tmp_path / "coco")
    assert all(convertible(one) == "the set has no intrinsics" for one in open_set("coco", tmp_path / "coco"))
    assert main(["convert", "coco", str(tmp_path / "coco"), "--output", str(tmp_path / "shards")]) == 1
    text = capsys.readouterr().out
    assert text.startswith("0 of 2 hands")
    assert "left out: 2 since the set has no intrinsics" in text
    WRITERS["ego_dexter"](tmp_path / "ed")
    one = open_set("ego_dexter", tmp_path / "ed")[0]
    assert "labelled in 3D" in convertible(one)


@pytest.mark.parametrize("name", ["coco", "hand_labels"])
def test_hands_in_2d_have_points_and_an_image(tmp_path, name):
    WRITERS[name](tmp_path)
    hands = list(open_set(name, tmp_path))
    images, reasons = convert(hands, 7, "any")
    check_hand_images(images)
    assert not reasons
    assert images.count == len(hands)
    for row, one in enumerate(hands):
        known = np.isfinite(one.points_px).all(1)
        np.testing.assert_array_equal(np.isfinite(images.points[row]).all(1), known)
        assert np.nanmax(np.abs(images.points[row])) == pytest.approx(1, abs=1e-4)
        assert images.image[row].max() > 0
        for field in (images.joints, images.depth, images.wrist, images.angles, images.rotation):
            assert np.isnan(field[row]).all()
    assert convert(hands, 7).images.count == 0
    with pytest.raises(ValueError, match="labels must be one of 3d, any, 2d"):
        convert(hands, 7, "4d")


def test_labels_in_3d_can_be_left_unused(tmp_path, capsys):
    write_samples(tmp_path / "set")
    call = ["convert", "samples", str(tmp_path / "set"), "--only-2d", "--output", str(tmp_path / "shards")]
    assert main(call) == 0
    table = ShardedHandImages([tmp_path / "shards"])
    hands = table.rows(np.arange(len(table)))
    assert hands.count == 2
    assert np.isfinite(hands.points).all()
    assert np.isnan(hands.depth).all()
    assert shard_info(table.folders[0])["settings"]["labels"] == "2d"


def test_joints_without_a_label_are_filled_in(tmp_path):
    write_interhand26m(tmp_path)
    one = open_set("interhand26m", tmp_path)[0]
    truth, _ = convert([one], 0)
    one.joints_m[8] = np.nan
    images, _ = convert([one], 0)
    assert np.isfinite(images.joints).all()
    assert np.linalg.norm(images.joints[0, 8] - truth.joints[0, 8]) < 0.5
    assert np.flatnonzero(images.sigma[0]).tolist() == [8]


def test_shards_are_what_training_reads(tmp_path, capsys):
    WRITERS["rhd"](tmp_path / "rhd")
    output = tmp_path / "shards"
    call = ["convert", "rhd", str(tmp_path / "rhd"), "--to", "shards", "--output", str(output)]
    assert main(call) == 0
    assert capsys.readouterr().out.startswith("2 of 2 hands")
    table = ShardedHandImages([output])
    assert len(table) == 2
    info = shard_info(table.folders[0])
    assert info["settings"]["set"] == "rhd"
    assert info["settings"]["options"]["hands"] == "prominent"
    assert table.rows(np.arange(2)).source.tolist() == [FIRST_SOURCE, FIRST_SOURCE]
    weights = batches.sampling_weights(table.rows(np.arange(2)).source)
    np.testing.assert_allclose(weights, 0.5)
    assert main(call) == 2
    assert "is a complete shard already" in capsys.readouterr().err


def test_parts_make_the_shards_of_the_whole(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(write, "SHARD", 2)
    WRITERS["stb"](tmp_path / "stb")
    call = ["convert", "stb", str(tmp_path / "stb"), "--output"]
    assert main([*call, str(tmp_path / "whole")]) == 0
    for part in ("2/2", "1/2"):
        assert main([*call, str(tmp_path / "parts"), "--part", part]) == 0
    assert_same_shards(tmp_path / "whole", tmp_path / "parts")
    assert len(ShardedHandImages([tmp_path / "parts"]).folders) == 2


def test_malformed_images_are_fatal_or_counted(tmp_path, capsys):
    write_samples(tmp_path / "set")
    (tmp_path / "set" / "1.png").write_bytes(b"not an image")
    call = ["convert", "samples", str(tmp_path / "set"), "--output", str(tmp_path / "shards")]
    assert main(call) == 2
    assert "1.png: not an image" in capsys.readouterr().err
    assert main([*call, "--malformed", "skipped"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("1 of 2 hands")
    assert "left out: 1 since malformed: 1.png" in text


def test_options_are_values():
    assert parse_options(["split=train", "vertices=false", "unit_m=0.01"]) == {
        "split": "train",
        "vertices": False,
        "unit_m": 0.01,
    }
    with pytest.raises(ValueError, match="name=value"):
        parse_options(["split"])


def test_a_choice_is_spread_evenly():
    assert spread(3, 10) == [0, 1, 2]
    assert spread(100, 4) == [0, 33, 66, 99]


def test_show_tells_of_images_that_are_not_there(tmp_path, capsys):
    WRITERS["stb"](tmp_path / "stb")
    path = open_set("stb", tmp_path / "stb")[0].path
    path.unlink()
    call = ["show", "stb", str(tmp_path / "stb")]
    assert main(call) == 0
    assert f"WITHOUT AN IMAGE: 1 hands, the first: {path}" in capsys.readouterr().out
    sheet = ["--output", str(tmp_path / "sheet.png")]
    assert main([*call, *sheet]) == 2
    assert f"{path}: missing; the set may be incomplete" in capsys.readouterr().err
    assert main([*call, *sheet, "--malformed", "skipped"]) == 0
    assert cv2.imread(str(tmp_path / "sheet.png")) is not None
    for image in (tmp_path / "stb").rglob("*.png"):
        image.unlink()
    assert main([*call, *sheet, "--malformed", "skipped"]) == 2
    assert "no image of a hand can be drawn" in capsys.readouterr().err
    convert_all = ["convert", "stb", str(tmp_path / "stb"), "--malformed", "skipped", "--output"]
    assert main([*convert_all, str(tmp_path / "shards")]) == 1
    assert capsys.readouterr().out.startswith("0 of 4 hands")


def test_show_leaves_out_labels_that_cannot_be_read(tmp_path, capsys):
    WRITERS["ho3d"](tmp_path / "ho3d")
    (tmp_path / "ho3d" / "train" / "ABF10" / "meta" / "0000.pkl").write_bytes(b"cut")
    call = ["show", "ho3d", str(tmp_path / "ho3d"), "--option", "split=train"]
    assert main(call) == 2
    assert "0000.pkl: not a pickle" in capsys.readouterr().err
    assert main([*call, "--malformed", "skipped"]) == 0
    assert "not readable of those checked: 1" in capsys.readouterr().out


def test_outputs_that_cannot_be_written_are_named(tmp_path, capsys):
    WRITERS["samples"](tmp_path / "set")
    call = ["show", "samples", str(tmp_path / "set"), "--output"]
    with pytest.raises(SystemExit):
        main([*call, str(tmp_path / "sheet.abc")])
    assert "sheet.abc' must end in one of .jpg, .png" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main([*call, str(tmp_path / "file" / "sheet.jpg")]) == 2
    assert "hand_pose dataset: " in capsys.readouterr().err


@pytest.mark.parametrize("verb", [(), ("show",), ("convert",)])
def test_the_help_of_every_verb_lists_the_options_of_the_sets(capsys, verb):
    with pytest.raises(SystemExit):
        main([*verb, "--help"])
    text = capsys.readouterr().out
    for name, reader in SETS.items():
        assert f"{name}: {reader.title}" in text
    assert "  annotator (default all; human_annot, machine_annot, all)" in text
