"""Public sets that a training file names: converted once, continued after an interruption, never mixed up."""

import json
import os
from dataclasses import replace
from multiprocessing import get_context

import pytest
from helpers.hand_images import assert_same_shards
from helpers.miniature_sets import WRITERS

from hand_pose_ros.datasets.storage.files import MalformedFileError
from hand_pose_ros.hand_images.labelled import set_source, write
from hand_pose_ros.hand_images.labelled.set_source import RECORD, SetSource, folders_with_sets, shards_of_set
from hand_pose_ros.hand_images.shards import ShardedHandImages


@pytest.fixture
def source(tmp_path):
    WRITERS["stb"](tmp_path / "stb")
    return SetSource("stb", str(tmp_path / "stb"), str(tmp_path / "shards" / "stb"))


def test_a_set_is_converted_once(source, monkeypatch):
    assert folders_with_sets(("one",), (source,)) == ("one", source.shards)
    assert len(ShardedHandImages([source.shards])) == 4
    monkeypatch.setattr(set_source, "open_set", lambda *_: pytest.fail("converted again"))
    assert shards_of_set(source) == source.shards
    # The set itself may move or go.
    assert shards_of_set(replace(source, path="elsewhere")) == source.shards


def test_an_interrupted_conversion_goes_on(source, monkeypatch, tmp_path):
    monkeypatch.setattr(write, "SHARD", 1)
    whole = replace(source, shards=str(tmp_path / "whole"))
    shards_of_set(whole)
    save, saved = write.save_shard, []

    def interrupted(folder, *rest):
        if len(saved) == 2:
            raise KeyboardInterrupt
        saved.append(folder)
        save(folder, *rest)

    monkeypatch.setattr(write, "save_shard", interrupted)
    with pytest.raises(KeyboardInterrupt):
        shards_of_set(source)
    monkeypatch.setattr(
        write, "save_shard", lambda folder, *rest: (saved.append(folder), save(folder, *rest))
    )
    shards_of_set(source)
    assert len(saved) == len(set(saved)) == 4
    assert_same_shards(tmp_path / "whole", tmp_path / "shards" / "stb")
    assert json.loads((tmp_path / "shards" / "stb" / RECORD).read_text())["hands"] == 4


def test_shards_of_something_else_are_refused(source, tmp_path):
    shards_of_set(source)
    for change in ({"options": {"camera": "both"}}, {"labels": "2d"}, {"set": "rhd", "options": {}}):
        with pytest.raises(ValueError, match=r"set\.json: the shards were made of .* name another folder"):
            shards_of_set(replace(source, **change))
    (tmp_path / "shards" / "stb" / RECORD).unlink()
    with pytest.raises(ValueError, match=r"holds shards, but no set\.json"):
        shards_of_set(source)
    (tmp_path / "shards" / "stb" / RECORD).write_text("[1]")
    with pytest.raises(ValueError, match=r"set\.json must hold an object; remove the folder"):
        shards_of_set(source)


def test_what_is_wrong_with_a_set_is_told(source, tmp_path):
    with pytest.raises(MalformedFileError, match="nowhere"):
        shards_of_set(replace(source, path=str(tmp_path / "nowhere")))
    with pytest.raises(ValueError, match="unknown option: split_"):
        shards_of_set(replace(source, options={"split_": "training"}))
    WRITERS["coco"](tmp_path / "coco")
    coco = SetSource("coco", str(tmp_path / "coco"), str(tmp_path / "shards" / "coco"))
    with pytest.raises(
        ValueError, match="no hand of coco can be converted: 2 since the set has no intrinsics"
    ):
        shards_of_set(coco)
    assert shards_of_set(replace(coco, labels="any"))


def test_processes_take_turns(source):
    """Both end well, and the shards are made once: a second conversion would refuse or repeat them."""
    with get_context("spawn").Pool(2) as pool:
        assert pool.map(shards_of_set, [source, source]) == [source.shards] * 2
    assert len(ShardedHandImages([source.shards])) == 4
    assert not [name for name in os.listdir(source.shards) if name.endswith(".unfinished")]
