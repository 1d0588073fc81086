"""The stream reads what json reads, entry by entry, wherever its chunks end."""

import json
import tracemalloc

import pytest

from hand_pose_ros.datasets.storage import json_stream
from hand_pose_ros.datasets.storage.files import MalformedFileError
from hand_pose_ros.datasets.storage.json_stream import EVERY, iterate_json

VALUE = {
    "info": {"text": 'a "quoted" [text] {with} brackets, \\ and ü', "empty": []},
    "images": [{"id": 1}, {"id": 23456789}, {}],
    "frames": {"0": {"10": [1.5, -2e-3], "11": []}, "1": {"7": None}, "2": {}},
    "last": [123, 4.5, True, None, "x"],
}


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64, 1 << 20])
@pytest.mark.parametrize("indent", [None, 2])
def test_entries_are_those_of_json(tmp_path, monkeypatch, chunk, indent):
    monkeypatch.setattr(json_stream, "_CHUNK", chunk)
    path = tmp_path / "file.json"
    path.write_text(json.dumps(VALUE, indent=indent), encoding="utf-8")
    assert dict(iterate_json(path)) == VALUE
    assert [entry for _, entry in iterate_json(path, "images")] == VALUE["images"]
    assert list(iterate_json(path, "last")) == list(enumerate(VALUE["last"]))
    assert dict(iterate_json(path, "frames", "0")) == VALUE["frames"]["0"]
    assert dict(iterate_json(path, "frames", EVERY)) == {
        ("0", "10"): [1.5, -2e-3],
        ("0", "11"): [],
        ("1", "7"): None,
    }


@pytest.mark.parametrize("text", ["", "[1, 2", "[1 2]", '{"a" 1}', "3", '{"a": [1], "b"', "[1, nothing]"])
def test_malformed_files_are_named(tmp_path, text):
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(MalformedFileError, match=r"file\.json"):
        list(iterate_json(path))


def test_missing_keys_and_files_are_named(tmp_path):
    path = tmp_path / "file.json"
    path.write_text('{"images": [1]}')
    with pytest.raises(MalformedFileError, match=r"file\.json.*'annotations' is missing"):
        list(iterate_json(path, "annotations"))
    path.write_text("{}")
    with pytest.raises(MalformedFileError, match="'annotations' is missing"):
        list(iterate_json(path, "annotations"))
    with pytest.raises(MalformedFileError, match=r"none\.json: missing"):
        list(iterate_json(tmp_path / "none.json"))


def test_a_large_file_is_never_in_memory(tmp_path):
    path = tmp_path / "file.json"
    joints = json.dumps([[0.123456, 1.234567, 2.345678]] * 42)
    with path.open("w") as file:
        file.write('{"skipped": [' + ",".join([joints] * 10_000) + '], "read": [')
        file.write(",".join([joints] * 10_000) + "]}")
    assert path.stat().st_size > 20e6
    tracemalloc.start()
    assert sum(1 for _ in iterate_json(path, "read")) == 10_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10e6
