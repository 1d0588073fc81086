"""The user's cache: made once by whoever needs it, and again where it is damaged or not safe; never half there."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hand_pose_ros.files import user_folders
from hand_pose_ros.files.user_cache import MANIFEST, made_once

INPUTS = {"weights": "0123", "version": "1"}


@pytest.fixture
def cache(monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "hand_pose_ros"


class Maker:
    """Counts how often it is called; the content names the call."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.calls, self.seconds, self.lock = 0, seconds, threading.Lock()

    def __call__(self, folder: Path) -> None:
        with self.lock:
            self.calls += 1
        time.sleep(self.seconds)
        (folder / "graph.onnx").write_text(f"made {self.calls}")


def visible(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if not path.name.endswith(".lock"))


def test_an_entry_is_made_once_and_only_its_owner_reads_it(cache):
    make = Maker()
    folder = made_once("one", INPUTS, make)
    assert folder == cache / "one" == made_once("one", INPUTS, make)
    assert make.calls == 1
    assert visible(cache) == ["one"]
    assert [oct(path.stat().st_mode & 0o777) for path in (cache, folder, folder / "graph.onnx")] == [
        "0o700", "0o700", "0o600",
    ]  # fmt: skip


def test_other_inputs_make_it_again(cache):
    make = Maker()
    made_once("one", INPUTS, make)
    folder = made_once("one", {**INPUTS, "weights": "another file of the same short name"}, make)
    assert (folder / "graph.onnx").read_text() == "made 2"


def cut_short(entry: Path) -> None:
    (entry / "graph.onnx").write_text("made")


def changed(entry: Path) -> None:
    (entry / "graph.onnx").write_text("made 9")


def removed(entry: Path) -> None:
    (entry / "graph.onnx").unlink()


def without_manifest(entry: Path) -> None:
    (entry / MANIFEST).unlink()


def damaged_manifest(entry: Path) -> None:
    (entry / MANIFEST).write_text("[1, 2")


def another_manifest(entry: Path) -> None:
    (entry / MANIFEST).write_text('["inputs"]')


def endless_manifest(entry: Path) -> None:
    (entry / MANIFEST).unlink()
    os.mkfifo(entry / MANIFEST, 0o600)


def writable_file(entry: Path) -> None:
    (entry / "graph.onnx").chmod(0o666)


def writable_folder(entry: Path) -> None:
    entry.chmod(0o777)


def link_to_elsewhere(entry: Path) -> None:
    (entry / "graph.onnx").rename(entry.parent / "elsewhere")
    (entry / "graph.onnx").symlink_to(entry.parent / "elsewhere")


def entry_is_a_link(entry: Path) -> None:
    entry.rename(entry.with_name("elsewhere"))
    entry.symlink_to(entry.with_name("elsewhere"))


DAMAGE = (
    cut_short, changed, removed, without_manifest, damaged_manifest, another_manifest, endless_manifest,
    writable_file, writable_folder, link_to_elsewhere, entry_is_a_link,
)  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_and_unsafe_entries_are_made_again(cache, damage):
    make = Maker()
    damage(made_once("one", INPUTS, make))
    folder = made_once("one", INPUTS, make)
    assert (make.calls, (folder / "graph.onnx").read_text()) == (2, "made 2")
    assert not folder.is_symlink()
    assert made_once("one", INPUTS, make) == folder
    assert make.calls == 2


def test_threads_wait_for_the_one_that_makes_it(cache):
    make = Maker(seconds=0.2)
    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(lambda _: made_once("one", INPUTS, make), range(8)))
    assert (folders, make.calls) == ({cache / "one"}, 1)


PROCESS = """
import sys, time
from pathlib import Path
from hand_pose_ros.files.user_cache import made_once

def make(folder):
    with open(sys.argv[1], "a") as file:
        file.write("made\\n")
    time.sleep(0.5)
    (folder / "graph.onnx").write_text("made")

made_once("one", {"a": "b"}, make)
"""


def test_processes_wait_for_the_one_that_makes_it(cache, tmp_path):
    log = tmp_path / "log"
    running = [subprocess.Popen([sys.executable, "-c", PROCESS, str(log)]) for _ in range(4)]
    assert [one.wait(timeout=60) for one in running] == [0] * 4
    assert log.read_text() == "made\n"


def test_nothing_remains_of_one_that_failed_or_was_killed(cache):
    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise ValueError("no such network")

    with pytest.raises(ValueError, match="no such network"):
        made_once("one", INPUTS, fail)
    assert visible(cache) == []
    (cache / ".one.killed.unfinished").mkdir()
    made_once("one", INPUTS, Maker())
    assert visible(cache) == ["one"]


def test_a_new_entry_replaces_outdated_ones(cache):
    made_once("clip-1", INPUTS, Maker(), "clip-*")
    made_once("other", INPUTS, Maker())
    (cache / "clip-0.avi").write_text("of an older version")
    made_once("clip-2", INPUTS, Maker(), "clip-*")
    assert visible(cache) == ["clip-2", "other"]


def test_a_cache_that_others_can_write_to_is_taken_back(cache):
    made_once("one", INPUTS, Maker())
    cache.chmod(0o777)
    made_once("one", INPUTS, Maker())
    assert cache.stat().st_mode & 0o777 == 0o755


@pytest.fixture
def temporary(monkeypatch, tmp_path) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    user_folders._temporary_folder.cache_clear()
    yield folder
    user_folders._temporary_folder.cache_clear()


@pytest.mark.parametrize("home", [None, "/proc", "relative/home"])
def test_without_a_usable_home_all_processes_share_a_temporary_folder(home, monkeypatch, temporary):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", home or "")
    if home is None:
        monkeypatch.setattr(Path, "home", no_home)
    make = Maker()
    folder = made_once("one", INPUTS, make)
    assert folder == temporary / f"hand_pose_ros-{os.geteuid()}" / "one"
    assert made_once("one", INPUTS, make) == folder
    assert make.calls == 1
    assert folder.parent.stat().st_mode & 0o777 == 0o700


def no_home():
    raise RuntimeError("Could not determine home directory.")


def test_a_shared_folder_that_somebody_else_made_is_not_used(monkeypatch, temporary, caplog):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc")
    (temporary / "elsewhere").mkdir()
    (temporary / f"hand_pose_ros-{os.geteuid()}").symlink_to(temporary / "elsewhere")
    with caplog.at_level(logging.WARNING):
        folder = made_once("one", INPUTS, Maker())
    assert folder.parent.parent == temporary
    assert not list((temporary / "elsewhere").iterdir())
    assert "until this process ends" in caplog.text
    make = Maker()
    made_once("one", INPUTS, make)
    assert make.calls == 0  # one folder a process


def test_a_folder_of_another_user_is_not_trusted(cache, temporary):
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to another user")
    made_once("one", INPUTS, Maker())
    os.chown(cache, 12345, 12345)
    assert made_once("one", INPUTS, Maker()).parent == temporary / "hand_pose_ros-0"


TEMPORARY = """
from hand_pose_ros.files.user_cache import made_once
print(made_once("one", {"a": "b"}, lambda folder: (folder / "x").write_text("y")).parent)
"""


def test_a_temporary_folder_of_one_process_is_removed_at_exit(tmp_path):
    (tmp_path / f"hand_pose_ros-{os.geteuid()}").write_text("in the way")
    environment = {**os.environ, "XDG_CACHE_HOME": "/proc", "TMPDIR": str(tmp_path)}
    code = [sys.executable, "-c", TEMPORARY]
    folder = Path(subprocess.check_output(code, env=environment, text=True).strip())
    assert folder.parent == tmp_path
    assert not folder.exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_is_no_end(cache, temporary, number):
    def make(folder: Path) -> None:
        if folder.is_relative_to(cache):
            (folder / "half").write_text("half")
            raise OSError(number, os.strerror(number))
        (folder / "graph.onnx").write_text("made")

    assert made_once("one", INPUTS, make).parent == temporary / f"hand_pose_ros-{os.geteuid()}"
    assert visible(cache) == []


def test_a_folder_without_locks_is_not_used(cache, temporary, monkeypatch):
    flock = fcntl.flock

    def no_locks(file: int, kind: int) -> None:
        if os.readlink(f"/proc/self/fd/{file}").startswith(str(cache)):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
        flock(file, kind)

    monkeypatch.setattr("fcntl.flock", no_locks)
    assert made_once("one", INPUTS, Maker()).parent.parent == temporary


def test_other_errors_are_told(cache):
    def fail(folder: Path) -> None:
        raise FileNotFoundError(errno.ENOENT, "no such weights")

    with pytest.raises(FileNotFoundError, match="no such weights"):
        made_once("one", INPUTS, fail)
    assert visible(cache) == []


def test_a_user_without_home_and_passwd_entry_has_a_cache(tmp_path):
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become a user that does not exist")
    tmp_path.chmod(0o777)
    # It may read everything, so that it finds this Python, wherever it is installed.
    ids = [
        "--reuid=54321",
        "--regid=54321",
        "--clear-groups",
        "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override",
    ]
    environment = {
        name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME")
    }
    command = ["setpriv", *ids, sys.executable, "-c", TEMPORARY]
    for home in ({}, {"HOME": "/proc"}):
        done = subprocess.run(
            command,
            env={**environment, "TMPDIR": str(tmp_path), **home},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.strip() == str(tmp_path / "hand_pose_ros-54321"), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["hand_pose_ros-54321"]


def test_what_is_complete_is_used_on_a_read_only_file_system(cache, temporary, monkeypatch):
    made = made_once("one", INPUTS, Maker())

    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr("hand_pose_ros.files.user_cache._locked", read_only)
        assert made_once("one", INPUTS, Maker()) == made
    assert not list(temporary.iterdir())
