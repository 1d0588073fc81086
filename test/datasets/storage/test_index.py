"""The index: rows come back as they were written, and it is built again exactly when it must be."""

import os
import pickle

import numpy as np
import pytest

from hand_pose_ros.datasets.storage.index import FOLDER, Column, open_index

COLUMNS = {
    "name": Column("S8"),
    "number": Column("<i4"),
    "joints": Column("<f4", (2, 3)),
    "flags": Column("u1", (2,)),
}


def rows_of(count):
    return [
        {"name": f"ü{i}", "number": -i, "joints": np.full((2, 3), i / 3), "flags": (i % 2, 1)}
        for i in range(count)
    ]


class Builder:
    """Counts how often an index is built."""

    def __init__(self, count=3, reasons=()):
        self.built, self.count, self.reasons = 0, count, reasons

    def __call__(self, skipped):
        self.built += 1
        skipped.extend(self.reasons)
        return iter(rows_of(self.count))


def opened(folder, builder, options=None, columns=None, accept_skipped=False):
    source = folder / "list.txt"
    if not source.exists():
        source.write_text("list")
    return open_index(folder, "set", [source], options or {}, columns or COLUMNS, builder, accept_skipped)


def test_rows_come_back(tmp_path):
    index = opened(tmp_path, Builder())
    assert len(index) == 3
    row = index.row(2)
    assert (row["name"], row["number"]) == ("ü2", -2)
    assert row["joints"].dtype == np.float64
    np.testing.assert_allclose(row["joints"], 2 / 3, rtol=1e-6)
    assert row["flags"].tolist() == [0, 1]
    np.testing.assert_array_equal(index.column("number"), [0, -1, -2])
    with pytest.raises(IndexError):
        index.row(3)


def test_an_index_goes_to_another_process(tmp_path):
    index = opened(tmp_path, Builder())
    first = index.row(1)
    other = pickle.loads(pickle.dumps(index))  # noqa: S301 - written here
    assert other.row(1)["name"] == first["name"]
    assert other._files is not index._files


def test_it_is_built_again_when_the_set_or_the_options_change(tmp_path):
    builder = Builder()
    opened(tmp_path, builder)
    opened(tmp_path, builder)
    assert builder.built == 1
    opened(tmp_path, builder, {"split": "train"})
    opened(tmp_path, builder, {"split": "train"})
    assert builder.built == 2
    opened(tmp_path, builder, columns={"number": Column("<i8")})
    assert builder.built == 3
    before = {path.name for path in (tmp_path / FOLDER).iterdir()}
    (tmp_path / "list.txt").write_text("another list")
    index = opened(tmp_path, builder)
    assert builder.built == 4
    # The outdated one is removed, those of other options stay until they are asked for.
    after = {path.name for path in (tmp_path / FOLDER).iterdir()}
    assert len(after) == len(before) == 3
    assert after - before == {index.folder.name}


def test_an_index_with_gaps_is_for_those_who_accept_gaps(tmp_path):
    with_gaps = Builder(reasons=["a.png: missing"] * 200)
    index = opened(tmp_path, with_gaps, accept_skipped=True)
    assert index.skipped_count == 200
    assert len(index.skipped) == 100
    strict = Builder()
    assert not opened(tmp_path, strict).skipped
    assert (with_gaps.built, strict.built) == (1, 1)


def test_an_empty_set_says_why(tmp_path):
    with pytest.raises(ValueError, match=r"no hand that can be read.*of 2 that cannot: a\.png"):
        opened(tmp_path, Builder(0, ["a.png: missing", "b.png: missing"]), accept_skipped=True)


def test_an_interrupted_build_leaves_no_index(tmp_path):
    def interrupted(skipped):
        yield rows_of(1)[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        opened(tmp_path, interrupted)
    assert not list((tmp_path / FOLDER).iterdir())
    assert len(opened(tmp_path, Builder())) == 3


def test_it_goes_to_the_cache_where_the_set_cannot_be_written_to(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / FOLDER).write_text("a file, so that no folder can be made here")
    builder = Builder()
    index = opened(folder, builder)
    assert (tmp_path / "cache") in index.folder.parents
    opened(folder, builder)
    assert builder.built == 1


def test_long_texts_and_wrong_shapes_are_refused(tmp_path):
    for row in ({"name": "x" * 9}, {"joints": np.zeros((3, 3))}):
        with pytest.raises(ValueError, match=r"name 'xxx|joints must have shape"):
            opened(tmp_path, lambda skipped, row=row: [rows_of(1)[0] | row])


def test_texts_are_as_long_as_their_bytes(tmp_path):
    index = opened(tmp_path, lambda skipped: [rows_of(1)[0] | {"name": "12345678"}])
    assert index.row(0)["name"] == "12345678"
    assert os.path.getsize(index.folder / "name.bin") == 8
