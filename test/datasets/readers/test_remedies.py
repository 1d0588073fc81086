"""Errors of a set name the file, what is wrong with it, and what to do about it."""

import pickle

import pytest
from helpers.miniature_sets import OPTIONS, WRITERS

from hand_pose_ros.datasets.registry import SETS, open_set
from hand_pose_ros.datasets.storage.files import AGAIN, OR_SKIP, MalformedFileError


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("kind", ["missing", "file", "empty"])
def test_a_wrong_folder_says_what_the_right_one_holds(tmp_path, name, kind):
    folder = tmp_path / "given"
    if kind == "file":
        folder.write_text("")
    elif kind == "empty":
        folder.mkdir()
    with pytest.raises(MalformedFileError) as caught:
        open_set(name, folder, OPTIONS.get(name))
    error = caught.value
    assert str(folder) in str(error)
    assert error.reason.startswith({"file": "not a folder", "missing": "missing"}.get(kind, ""))
    assert error.remedy.startswith(f"the folder of {SETS[name].title} must hold {SETS[name].layout}")
    assert error.remedy.endswith(f"see docs/use/datasets/{name}.md")


@pytest.mark.parametrize("name", [name for name in SETS if name != "dexycb"])
def test_a_set_that_lies_a_folder_higher_or_lower_is_found(tmp_path, name):
    folder = tmp_path / "above" / "set"
    WRITERS[name](folder)
    with pytest.raises(MalformedFileError) as caught:
        open_set(name, tmp_path / "above", OPTIONS.get(name))
    assert caught.value.remedy == f"{folder} has it: give that folder"
    (folder / "inside").mkdir()
    with pytest.raises(MalformedFileError) as caught:
        open_set(name, folder / "inside", OPTIONS.get(name))
    assert caught.value.remedy == f"{folder} has it: give that folder"


def test_a_damaged_source_must_be_there_and_a_damaged_hand_need_not(tmp_path):
    WRITERS["stb"](tmp_path / "stb")
    path = tmp_path / "stb" / "labels" / "B1Counting_BB.mat"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(MalformedFileError, match=r"B1Counting_BB\.mat: not a MATLAB file") as caught:
        open_set("stb", tmp_path / "stb")
    assert caught.value.remedy == OR_SKIP
    WRITERS["rhd"](tmp_path / "rhd")
    path = tmp_path / "rhd" / "evaluation" / "anno_evaluation.pickle"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(MalformedFileError) as caught:
        open_set("rhd", tmp_path / "rhd", malformed="skipped")
    assert caught.value.remedy == AGAIN


def test_images_and_labels_that_are_read_late_have_a_remedy(tmp_path):
    WRITERS["ho3d"](tmp_path)
    hands = open_set("ho3d", tmp_path, {"split": "train"})
    hands[0].path.unlink()
    with pytest.raises(MalformedFileError) as caught:
        hands[0].image()
    assert caught.value.remedy == OR_SKIP
    (tmp_path / "train" / "ABF10" / "meta" / "0001.pkl").unlink()
    with pytest.raises(MalformedFileError) as caught:
        hands[1]
    assert str(caught.value) == f"{caught.value.path}: missing; {OR_SKIP}"
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - as a pool of processes does
    assert (str(again), again.path) == (str(caught.value), caught.value.path)


def test_dexycb_without_images_names_the_sequence(tmp_path):
    WRITERS["dexycb"](tmp_path)
    for path in tmp_path.rglob("color_*.jpg"):
        path.unlink()
    with pytest.raises(MalformedFileError, match=r"20200709_141740: holds no folder of a camera with color_"):
        open_set("dexycb", tmp_path, {"setup": "all"})


def test_a_part_without_hands_is_told(tmp_path):
    WRITERS["coco"](tmp_path)
    path = tmp_path / "annotations" / "coco_wholebody_val_v1.0.json"
    path.write_text('{"images": [], "annotations": []}')
    with pytest.raises(
        ValueError, match="holds no hand that can be read; is the download complete, and do the"
    ):
        open_set("coco", tmp_path)


def test_readers_without_options_say_so(tmp_path):
    with pytest.raises(ValueError, match="unknown option: split; there are none"):
        open_set("samples", tmp_path, {"split": "train"})
