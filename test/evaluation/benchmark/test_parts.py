"""Parts of a benchmark: merged they are the run of one process, and what does not fit is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers.miniature_sets import WRITERS

from hand_pose_ros.common.parts import Part
from hand_pose_ros.datasets.registry import open_set
from hand_pose_ros.evaluation.benchmark.command import main
from hand_pose_ros.evaluation.benchmark.estimation import by_nobody, estimate, perfect, whole_run
from hand_pose_ros.evaluation.benchmark.parts import merge_parts, part_path, save_part

FILES = ("benchmark.md", "benchmark.json", "curves.png", "worst.jpg")


def noisy(one, frame, detection):
    """The labels with noise of their own, and no estimate of one hand in three."""
    joints, vertices = perfect(one, frame, detection)
    generator = np.random.default_rng(int(abs(joints[0, 0]) * 1e6))
    if generator.random() < 0.3:
        return np.full_like(joints, np.nan), None
    return joints + generator.normal(0, 0.01, joints.shape), vertices


@pytest.fixture
def without_networks(monkeypatch):
    """The estimator ``ik`` is a noisy one that needs no detector."""
    command = "hand_pose_ros.evaluation.benchmark.command"
    monkeypatch.setattr(f"{command}._method", lambda name, options, meshes: noisy)
    monkeypatch.setattr(f"{command}.PERFECT", "ik")


@pytest.mark.parametrize(("name", "count"), [("stb", 3), ("interhand26m", 2), ("freihand", 5), ("rhd", 1)])
@pytest.mark.usefixtures("without_networks")
def test_merged_parts_give_the_same_files(tmp_path, capsys, name, count):
    WRITERS[name](tmp_path / "set")
    call = [name, str(tmp_path / "set"), "--estimator", "ik", "--output"]
    assert main([*call, str(tmp_path / "whole")]) == 0
    table = capsys.readouterr().out
    for number in range(count, 0, -1):
        assert main([*call, str(tmp_path / "parts"), "--part", f"{number}/{count}"]) == 0
        assert count == 1 or f"part {number}/{count} of " in capsys.readouterr().out
    if count > 1:
        assert not (tmp_path / "parts" / "benchmark.md").exists()
        capsys.readouterr()
        assert main([*call, str(tmp_path / "parts"), "--merge"]) == 0
        assert capsys.readouterr().out == table
    for file in FILES:
        if file == "curves.png" and name == "interhand26m":  # its protocol has none
            continue
        assert (tmp_path / "parts" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file


@pytest.mark.usefixtures("without_networks")
@pytest.mark.parametrize("option", ["--weights", "--heatmap-weights", "--hand-size-m", "--look"])
def test_parts_of_other_estimates_are_not_merged(tmp_path, capsys, option):
    WRITERS["stb"](tmp_path / "set")
    values = {"--hand-size-m": ("0.08", "0.09"), "--look": ("labels", "detector")}.get(option, ("a", "b"))
    call = ["stb", str(tmp_path / "set"), "--estimator", "ik", "--output", str(tmp_path / "parts")]
    for part in ("1/2", "2/2"):
        assert main([*call, option, values[0], "--part", part]) == 0
    capsys.readouterr()
    assert main([*call, option, values[1], "--merge"]) == 2
    assert f"{option[2:].replace('-', '_')} was " in capsys.readouterr().err
    assert main([*call, option, values[0], "--merge"]) == 0


@pytest.mark.usefixtures("without_networks")
def test_a_merge_may_have_another_protocol_and_a_submission(tmp_path, capsys):
    zipped = str(tmp_path / "freihand.zip")
    for name, more in (("rhd", ["--protocol", "root"]), ("freihand", ["--submission", zipped])):
        WRITERS[name](tmp_path / name)
        call = [name, str(tmp_path / name), "--estimator", "ik", "--output", str(tmp_path / f"{name}_parts")]
        for number in (1, 2):
            assert main([*call, "--part", f"{number}/2"]) == 0
        capsys.readouterr()
        assert main([*call, "--merge", *more]) == 0
        merged, submission = capsys.readouterr().out, tmp_path / f"{name}.zip"
        content = submission.read_bytes() if submission.exists() else b""
        assert main([*call, *more]) == 0
        assert capsys.readouterr().out == merged
        assert content == (submission.read_bytes() if submission.exists() else b"")
    assert content


@pytest.fixture
def split(tmp_path):
    """A set, and a folder with two parts of it."""
    WRITERS["stb"](tmp_path / "set")
    hands = open_set("stb", tmp_path / "set")
    for number in (1, 2):
        numbers = Part(number, 2).of(range(len(hands)))
        estimated = estimate([hands[k] for k in numbers], {"labels": perfect}, by_nobody, meshes=False)
        save_part(tmp_path / "parts", Part(number, 2), {"every": 1}, numbers, estimated)
    return hands, tmp_path / "parts"


def test_estimates_are_kept_bit_for_bit(split):
    hands, folder = split
    merged = merge_parts(folder, {"every": 1}, hands)
    whole = whole_run(estimate(list(hands), {"labels": perfect}, by_nobody, meshes=False))
    np.testing.assert_array_equal(merged.detected, whole.detected)
    for name in ("joints_m", "points_px"):
        np.testing.assert_array_equal(
            *(getattr(one.estimates["labels"], name) for one in (merged, whole)), err_msg=name
        )
    assert merged.estimates["labels"].vertices_m == whole.estimates["labels"].vertices_m
    for name in ("joints_m", "sides", "images"):
        np.testing.assert_array_equal(*(getattr(one.labels, name) for one in (merged, whole)))


def test_missing_and_foreign_parts_are_named(split):
    hands, folder = split
    with pytest.raises(ValueError, match=r"other options than the merge: every was 1, is 2"):
        merge_parts(folder, {"every": 2}, hands)
    with pytest.raises(ValueError, match="other options"):
        merge_parts(folder, {}, hands)
    with pytest.raises(ValueError, match="not of this set"):
        merge_parts(folder, {"every": 1}, list(hands)[:2])
    part_path(folder, Part(2, 2)).unlink()
    with pytest.raises(ValueError, match=r"lacks the parts 2/2$"):
        merge_parts(folder, {"every": 1}, hands)
    with pytest.raises(ValueError, match="no part of a benchmark"):
        merge_parts(folder / "empty", {"every": 1}, hands)
    third = estimate([], {"labels": perfect}, by_nobody, meshes=False)
    save_part(folder, Part(3, 3), {"every": 1}, [], third)
    with pytest.raises(ValueError, match="of several splits: of 2, 3"):
        merge_parts(folder, {"every": 1}, hands)


@pytest.mark.parametrize("name", ["header", "numbers", "detected", "joints_0", "has_mesh_0", "vertices_0"])
def test_damaged_parts_are_refused(split, name):
    hands, folder = split
    path = part_path(folder, Part(1, 2))
    with np.load(path) as stored:
        arrays = dict(stored)
    for value in (None, np.zeros((1, 1)), np.array("[1]"), np.array('{"format": 1}')):
        with path.open("wb") as file:
            np.savez(file, **{**arrays, name: value} if value is not None else {**arrays, name: np.array(3)})
        with pytest.raises(ValueError, match=r"part-1-of-2\.npz"):
            merge_parts(folder, {"every": 1}, hands)
    path.write_bytes(b"PK nothing")
    with pytest.raises(ValueError, match=r"part-1-of-2\.npz is not an npz file"):
        merge_parts(folder, {"every": 1}, hands)


def test_more_parts_than_hands_are_empty(tmp_path, capsys):
    WRITERS["rhd"](tmp_path / "set")
    call = ["rhd", str(tmp_path / "set"), "--estimator", "labels", "--output", str(tmp_path / "parts")]
    for number in range(1, 6):
        assert main([*call, "--part", f"{number}/5"]) == 0
    assert main([*call, "--merge"]) == 0
    assert json.loads((tmp_path / "parts" / "benchmark.json").read_text())["hands"] == 2
    assert main([*call, "--merge", "--estimator", "ik"]) == 2
    assert "estimator was ['labels'], is ['labels', 'ik']" in capsys.readouterr().err


def test_options_that_do_not_go_together_are_refused(tmp_path, capsys):
    WRITERS["freihand"](tmp_path / "set")
    call = ["freihand", str(tmp_path / "set"), "--estimator", "labels"]
    for more, message in (
        (["--part", "1/2"], "--part needs --output"),
        (["--part", "1/2", "--output", "o", "--submission", "s"], "--submission belongs to --merge"),
        (["--merge"], "--merge takes the parts in the folder --output"),
        (["--merge", "--output", "o", "--part", "1/2"], "without --part"),
    ):
        assert main([*call, *more]) == 2
        assert message in capsys.readouterr().err
