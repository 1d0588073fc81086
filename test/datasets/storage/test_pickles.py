"""The restricted unpickler: arrays of both Pythons pass, code does not run."""

import pickle

import numpy as np
import pytest
from helpers.pickles import LABELS, PYTHON_2, hostile

from hand_pose_ros.datasets.storage.files import MalformedFileError, read_pickle


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
