"""The ``hand_pose models`` command takes the networks from each kind of source, and only the right ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hand_pose_ros.detection.detector import DetectorUnavailableError
from hand_pose_ros.detection.mediapipe import models_command
from hand_pose_ros.detection.mediapipe.network_files import CHECKSUMS, networks_folder, read_networks
from hand_pose_ros.files import user_folders

STORED = networks_folder()


@pytest.fixture(autouse=True)
def empty(tmp_path, monkeypatch) -> Path:
    """An empty data folder."""
    monkeypatch.setenv("HAND_POSE_DATA", str(tmp_path / "data"))
    return tmp_path / "data" / "mediapipe"


def wheel(path: Path, names=tuple(CHECKSUMS)) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.write(STORED / name, f"mediapipe/modules/any/{name}")
    return path


def stored_names(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()}


def test_a_wheel_is_read(tmp_path, empty):
    assert models_command.main([str(wheel(tmp_path / "mediapipe.whl"))]) == 0
    assert stored_names(empty) == set(CHECKSUMS)
    assert read_networks().palm == (STORED / "palm_detection_full.tflite").read_bytes()


def test_a_folder_with_only_the_full_networks_is_enough(tmp_path, empty):
    for name in CHECKSUMS:
        if name.endswith("_full.tflite"):
            (tmp_path / "source" / name).mkdir(parents=True)  # at any depth
            shutil.copy(STORED / name, tmp_path / "source" / name / name)
    for folder in (tmp_path / "source").iterdir():
        folder.rename(folder.with_suffix(""))
    assert models_command.main([str(tmp_path / "source")]) == 0
    assert len(stored_names(empty)) == 2
    read_networks()


def test_an_installed_mediapipe_is_read_without_importing_it(tmp_path, empty, monkeypatch):
    folder = tmp_path / "site" / "mediapipe" / "modules"
    shutil.copytree(STORED, folder)
    (tmp_path / "site" / "mediapipe" / "__init__.py").write_text("raise RuntimeError('imported')")
    information = tmp_path / "site" / "mediapipe-0.10.21.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: mediapipe\nVersion: 0.10.21\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr(models_command, "_download", lambda folder: pytest.fail("downloaded"))
    assert models_command.main([]) == 0
    assert stored_names(empty) == set(CHECKSUMS)


def test_without_a_source_the_wheel_is_downloaded_once(tmp_path, empty, monkeypatch):
    monkeypatch.setattr(models_command, "_installed_mediapipe", lambda: None)
    downloads = []
    monkeypatch.setattr(
        models_command, "_download", lambda folder: downloads.append(folder) or wheel(folder / "one.whl")
    )
    assert models_command.main([]) == 0
    assert models_command.main([]) == 0
    assert len(downloads) == 1
    assert not downloads[0].exists()
    (empty / "hand_landmark_full.tflite").write_bytes(b"damaged")
    assert models_command.main([]) == 0
    assert len(downloads) == 2
    read_networks()


def test_a_failed_download_says_what_to_do(empty, monkeypatch, capsys):
    monkeypatch.setattr(models_command, "_installed_mediapipe", lambda: None)
    failed = subprocess.CompletedProcess([], 1, "", "Looking up\nERROR: no network\n")
    monkeypatch.setattr(models_command.subprocess, "run", lambda *_, **__: failed)
    assert models_command.main([]) == 1
    error = capsys.readouterr().err
    assert "ERROR: no network" in error
    assert "hand_pose models FILE.whl" in error
    assert not empty.exists()


def test_other_content_is_refused_and_nothing_is_stored(tmp_path, empty, capsys):
    source = wheel(tmp_path / "old.whl", [name for name in CHECKSUMS if name != "hand_landmark_full.tflite"])
    with zipfile.ZipFile(source, "a") as archive:
        archive.writestr("mediapipe/modules/any/hand_landmark_full.tflite", b"another version")
    assert models_command.main([str(source)]) == 1
    assert "its checksum is another" in capsys.readouterr().err
    assert not empty.exists()


@pytest.mark.parametrize(
    ("content", "message"), [(None, "there is no file or folder"), (b"no zip", "is not a usable wheel")]
)
def test_unusable_sources_are_refused(tmp_path, content, message, capsys):
    source = tmp_path / "mediapipe.whl"
    if content is not None:
        source.write_bytes(content)
    assert models_command.main([str(source)]) == 1
    assert message in capsys.readouterr().err


def test_a_newer_wheel_and_a_task_file_are_explained(tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "mediapipe-1.2.whl", "w") as archive:
        archive.writestr("mediapipe/__init__.py", "")
    shutil.copy(tmp_path / "mediapipe-1.2.whl", tmp_path / "hand_landmarker.task")
    assert models_command.main([str(tmp_path / "mediapipe-1.2.whl")]) == 1
    assert "the wheels of MediaPipe up to 0.10.21 do" in capsys.readouterr().err
    assert models_command.main([str(tmp_path / "hand_landmarker.task")]) == 1
    assert "mediapipe.model_file" in capsys.readouterr().err


def test_the_list_says_what_is_stored(tmp_path, caplog):
    caplog.set_level("INFO")
    assert models_command.main(["--list"]) == 1
    assert caplog.text.count("missing") == len(CHECKSUMS)
    models_command.main([str(wheel(tmp_path / "mediapipe.whl"))])
    caplog.clear()
    assert models_command.main(["--list"]) == 0
    assert caplog.text.count("stored") == len(CHECKSUMS)


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HAND_POSE_DATA", str(tmp_path / "file"))
    assert models_command.main([str(wheel(tmp_path / "mediapipe.whl"))]) == 1
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_nothing_imports_mediapipe():
    """The detector works in a process in which an import of MediaPipe fails."""
    code = (
        "import sys; sys.modules['mediapipe'] = None\n"
        "from hand_pose_ros.factory import PipelineConfig, create_pipeline\n"
        "create_pipeline(PipelineConfig()).close()\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "HAND_POSE_DATA"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=300)


def test_a_user_without_a_home_finds_what_is_stored_for_all(monkeypatch, tmp_path):
    (tmp_path / "hand_pose_ros").mkdir()
    (tmp_path / "hand_pose_ros" / "mediapipe").symlink_to(STORED)
    for variable in ("HAND_POSE_DATA", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    monkeypatch.setattr(user_folders, "SHARED_DATA", tmp_path / "neither")
    monkeypatch.setenv("XDG_DATA_DIRS", "/usr/share")
    with pytest.raises(DetectorUnavailableError, match="run `hand_pose models` once"):
        read_networks()
    monkeypatch.setenv("XDG_DATA_DIRS", f"/usr/share:{tmp_path}")
    assert len(read_networks().palm) > 1_000_000
