"""Pickles of numbers: arrays of both Pythons come through, code does not run, and no byte asks for much memory."""

from __future__ import annotations

import pickle
import struct

import numpy as np
import pytest
from helpers.pickles import LABELS, PYTHON_2, hostile
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_pose_ros.files.safe_pickle import read_pickle


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_was_written_is_read(tmp_path, protocol):
    path = tmp_path / "labels.pkl"
    path.write_bytes(pickle.dumps(LABELS, protocol=protocol))
    read = read_pickle(path)
    for name in ("xyz", "K"):
        np.testing.assert_array_equal(read[0][name], LABELS[0][name])
        assert read[0][name].dtype == LABELS[0][name].dtype
    np.testing.assert_array_equal(read["names"], LABELS["names"])
    np.testing.assert_array_equal(read["big"], LABELS["big"])
    assert read["scalar"] == 2.5
    assert read["nested"] == LABELS["nested"]


def test_arrays_of_python_2_are_read(tmp_path):
    path = tmp_path / "labels.pkl"
    path.write_bytes(PYTHON_2)
    np.testing.assert_array_equal(read_pickle(path), [1.5, -2.0])


@pytest.mark.parametrize("attack", hostile("x"))
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_hostile_pickles_are_refused_and_do_nothing(tmp_path, attack, protocol):
    marker, path = tmp_path / "marker", tmp_path / "labels.pkl"
    path.write_bytes(pickle.dumps({0: hostile(marker)[attack]}, protocol=protocol))
    with pytest.raises(ValueError, match=r"labels\.pkl is not a pickle of numbers"):
        read_pickle(path)
    assert not marker.exists()


HUNGRY = {
    "a place far away": b"\x80\x02Nr" + struct.pack("<I", 2**32 - 1) + b".",
    "a text place far away": b"Np4294967295\n.",
    "a long array of bytes": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"x.",
    "a long number": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"x.",
    "depth": b"\x80\x02" + b"]" * 100 + b"(" * 10_000,
    "another codec": b"c_codecs\nencode\n(Vabc\nVrot13\ntR.",
    "nothing": b"",
    "a text": b"not a pickle",
    "half": pickle.dumps(LABELS)[:-9],
}


@pytest.mark.parametrize("name", HUNGRY)
def test_damaged_and_hungry_pickles_are_refused(tmp_path, name):
    path = tmp_path / "labels.pkl"
    path.write_bytes(HUNGRY[name])
    with pytest.raises(ValueError, match=r"labels\.pkl is not a pickle of numbers") as caught:
        read_pickle(path)
    assert len(str(caught.value)) < 1000


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_changed_bytes_raise_one_exception_only(tmp_path_factory, data):
    content = bytearray(PYTHON_2 if data.draw(st.booleans()) else pickle.dumps(LABELS))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("fuzz") / "labels.pkl"
    path.write_bytes(content)
    message = ""
    try:
        read_pickle(path)
    except ValueError as error:
        message = str(error)
    assert len(message) < 1000
