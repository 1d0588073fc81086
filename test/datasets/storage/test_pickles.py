"""The restricted unpickler: arrays of both Pythons pass, code does not run."""

import os
import pickle

import numpy as np
import pytest

from hand_pose_ros.datasets.storage.files import MalformedFileError
from hand_pose_ros.datasets.storage.pickles import read_pickle

LABELS = {
    0: {"xyz": np.arange(6.0).reshape(2, 3), "K": np.eye(3, dtype=np.float32), "name": "a", "none": None},
    "scalar": np.float64(2.5),
    "nested": [1, (2.0, True), {"x": b"bytes"}],
}
# What Python 2 with NumPy 1.13 wrote for numpy.array([1.5, -2.0]), protocol 2.
PYTHON_2 = (
    b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\x85U\x01b\x87Rq\x02(K\x01K\x02"
    b"\x85cnumpy\ndtype\nq\x03U\x02f8K\x00K\x01\x87Rq\x04(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    b"\x89U\x10\x00\x00\x00\x00\x00\x00\xf8?\x00\x00\x00\x00\x00\x00\x00\xc0tb."
)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_labels_are_read_as_they_were_written(tmp_path, protocol):
    path = tmp_path / "labels.pkl"
    path.write_bytes(pickle.dumps(LABELS, protocol=protocol))
    read = read_pickle(path)
    np.testing.assert_array_equal(read[0]["xyz"], LABELS[0]["xyz"])
    np.testing.assert_array_equal(read[0]["K"], LABELS[0]["K"])
    assert read[0]["name"] == "a"
    assert read[0]["none"] is None
    assert read["scalar"] == 2.5
    assert read["nested"] == LABELS["nested"]


def test_arrays_of_python_2_are_read(tmp_path):
    path = tmp_path / "labels.pkl"
    path.write_bytes(PYTHON_2)
    np.testing.assert_array_equal(read_pickle(path), [1.5, -2.0])


class _Call:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def hostile(marker):
    from numpy.testing import suppress_warnings

    return {
        "shell": _Call(os.system, f"touch {marker}"),
        "eval": _Call(eval, f"open({str(marker)!r}, 'w')"),
        "exec": _Call(exec, f"open({str(marker)!r}, 'w')"),
        "open": _Call(open, str(marker), "w"),
        "getattr": _Call(getattr, [], "append"),
        "import": _Call(__import__, "os"),
        "numpy.load": _Call(np.load, str(marker)),
        "numpy.save": _Call(np.save, str(marker), 1),
        "another part of numpy": _Call(suppress_warnings),
        "a nested pickle": _Call(pickle.loads, pickle.dumps(1)),
    }


@pytest.mark.parametrize("attack", hostile("x"))
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_hostile_pickles_are_refused_and_do_nothing(tmp_path, attack, protocol):
    marker = tmp_path / "marker"
    path = tmp_path / "labels.pkl"
    path.write_bytes(pickle.dumps({0: hostile(marker)[attack]}, protocol=protocol))
    with pytest.raises(MalformedFileError, match=r"labels\.pkl.*not a pickle of numbers"):
        read_pickle(path)
    assert not marker.exists()


def test_other_codecs_are_refused(tmp_path):
    path = tmp_path / "labels.pkl"
    path.write_bytes(b"c_codecs\nencode\n(Vabc\nVrot13\ntR.")
    with pytest.raises(MalformedFileError, match="codec 'rot13'"):
        read_pickle(path)


@pytest.mark.parametrize("damage", [b"", b"not a pickle", pickle.dumps(LABELS)[:-9]])
def test_damaged_files_are_named(tmp_path, damage):
    path = tmp_path / "labels.pkl"
    path.write_bytes(damage)
    with pytest.raises(MalformedFileError, match=r"labels\.pkl"):
        read_pickle(path)
    with pytest.raises(MalformedFileError, match=r"none\.pkl: missing"):
        read_pickle(tmp_path / "none.pkl")
