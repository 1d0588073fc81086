"""The user's folders follow the XDG variables, and say what to do where there is no home."""

from pathlib import Path

import pytest

from hand_pose_ros.common.user_folders import cache_folder, data_folder


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


def test_a_user_without_a_home_is_told(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(OSError, match="set XDG_CACHE_HOME"):
        cache_folder()
