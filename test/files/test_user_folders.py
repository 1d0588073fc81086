"""The user's folders follow the XDG variables, and say what to do where there is no home."""

from pathlib import Path

import pytest

from hand_pose_ros.files.user_folders import SHARED_DATA, cache_folder, data_folder, data_folders


@pytest.mark.parametrize(
    ("folder", "variable"), [(cache_folder, "XDG_CACHE_HOME"), (data_folder, "XDG_DATA_HOME")]
)
def test_the_variables_move_the_folders(folder, variable, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.delenv("HAND_POSE_DATA", raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    assert folder() == tmp_path / "hand_pose_ros"
    for unusable in ("", "relative/path"):
        monkeypatch.setenv(variable, unusable)
        assert folder().is_relative_to("/home/somebody")


def test_the_data_folder_can_be_named_itself(monkeypatch, tmp_path):
    monkeypatch.setenv("HAND_POSE_DATA", str(tmp_path / "data"))
    assert data_folder() == tmp_path / "data"


def no_home():
    raise RuntimeError("Could not determine home directory.")


def test_a_user_without_a_home_is_told(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(OSError, match="set XDG_CACHE_HOME"):
        cache_folder()


def test_data_are_searched_where_they_are_stored_for_all(monkeypatch, tmp_path):
    monkeypatch.delenv("HAND_POSE_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_DATA_DIRS", f"{tmp_path / 'system'}:relative")
    expected = [tmp_path / "own" / "hand_pose_ros", SHARED_DATA, tmp_path / "system" / "hand_pose_ros"]
    assert data_folders() == expected
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    assert data_folders() == expected[1:]
    monkeypatch.setenv("HAND_POSE_DATA", str(tmp_path / "named"))
    assert data_folders() == [tmp_path / "named"]
