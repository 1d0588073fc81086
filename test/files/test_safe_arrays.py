"""NumPy's files: what was written is read; objects, bombs and damage are refused before they take memory."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_pose_ros.files.safe_arrays import array_names, read_array, read_arrays

ARRAYS = {
    "numbers": np.arange(24.0).reshape(2, 3, 4),
    "columns": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
    "names": np.array(["a", "bcd"]),
    "flags": np.array(True),
    "none": np.zeros((0, 3), np.float32),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_was_written_is_read(tmp_path, save):
    save(tmp_path / "file.npz", **ARRAYS)
    read = read_arrays(tmp_path / "file.npz")
    assert read.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == array.dtype
        assert read[name].flags.writeable
        np.save(tmp_path / "one.npy", array)
        np.testing.assert_array_equal(read_array(tmp_path / "one.npy"), array)


def test_some_arrays_are_read_by_name(tmp_path):
    np.savez_compressed(tmp_path / "file.npz", **ARRAYS)
    assert array_names(tmp_path / "file.npz") == list(ARRAYS)
    assert read_arrays(tmp_path / "file.npz", names=("flags", "absent")).keys() == {"flags"}
    (tmp_path / "file.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"file\.npz is not an npz file of numbers"):
        array_names(tmp_path / "file.npz")


def header(text: str, version: int = 1) -> bytes:
    return b"\x93NUMPY" + struct.pack("<BBH", version, 0, len(text)) + text.encode()


def npy(shape: str, kind: str = "'<f8'") -> bytes:
    return header(f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}}}\n")


DAMAGED = {
    "an array of a terabyte": npy("(1000000000000,)"),
    "a negative length": npy("(-1, -2)") + bytes(16),
    "an array that overflows": npy(f"({2**62}, {2**62})"),
    "objects": npy("(1,)", "'|O'") + bytes(8),
    "objects inside": npy("(1,)", "[('a', '|O')]") + bytes(8),
    "no header": b"\x93NUMPY\x01\x00",
    "code": header("{'descr': __import__('os').getcwd(), 'fortran_order': False, 'shape': (1,)}\n"),
    "depth": header("(" * 9000),
    "another version": header("{}", version=9),
    "half": npy("(3,)") + bytes(20),
    "more": npy("(3,)") + bytes(30),
    "nothing": b"",
    "a text": b"numbers",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_arrays_are_refused_with_the_file(tmp_path, name):
    (tmp_path / "one.npy").write_bytes(DAMAGED[name])
    with pytest.raises(ValueError, match=r"one\.npy is not a NumPy file of numbers"):
        read_array(tmp_path / "one.npy")
    with zipfile.ZipFile(tmp_path / "some.npz", "w") as archive:
        archive.writestr("one.npy", DAMAGED[name])
    with pytest.raises(ValueError, match=r"some\.npz is not an npz file of numbers"):
        read_arrays(tmp_path / "some.npz")


def test_a_zip_bomb_is_refused_before_it_is_opened(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("one.npy", bytes(50 << 20))
    assert (tmp_path / "bomb.npz").stat().st_size < 100_000
    with pytest.raises(ValueError, match=r"bomb\.npz .* more than 10485760 bytes"):
        read_arrays(tmp_path / "bomb.npz", most_bytes=10 << 20)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_changed_bytes_raise_one_exception_only(tmp_path_factory, data):
    stream = io.BytesIO()
    np.savez_compressed(stream, one=np.arange(6.0).reshape(2, 3))
    content = bytearray(stream.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("fuzz") / "file.npz"
    path.write_bytes(content)
    message = ""
    for read in (read_arrays, array_names):
        try:
            read(path)
        except ValueError as error:
            message = str(error)
        assert len(message) < 1000
