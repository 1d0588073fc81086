"""The ``hand_pose models`` command: it stores MediaPipe's hand networks on this machine, once.

The networks (Apache-2.0, 11 MB) are part of MediaPipe's wheel up to 0.10.21. The command takes them from a wheel,
a folder, or an installed MediaPipe; without any of these it downloads the wheel with pip. It verifies their
checksums and never imports or installs MediaPipe.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from hand_pose_ros.detection.detector import DetectorUnavailableError
from hand_pose_ros.detection.mediapipe.network_files import (
    CHECKSUMS,
    LARGEST_FILE,
    is_known,
    networks_folder,
    read_member,
    read_stored,
)
from hand_pose_ros.files.atomic_file import atomic_path
from hand_pose_ros.files.regular_file import read_file

COMMAND: Final = "hand_pose models"
_WHEEL: Final = "mediapipe==0.10.21"
# Any wheel holds the same networks, so that of one Python and platform serves all machines.
_WHEEL_PLATFORM: Final = ("--python-version", "3.12", "--platform", "manylinux_2_28_x86_64")
_DOWNLOAD_TIMEOUT_S: Final = 1800.0

_log = logging.getLogger(__name__)


class ModelsError(Exception):
    """The networks cannot be obtained; the message says why and what to do."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "source",
        nargs="?",
        type=Path,
        help="MediaPipe's wheel (up to 0.10.21), or a folder that holds the .tflite files; without it, an "
        "installed MediaPipe is used if it has them, otherwise the wheel is downloaded",
    )
    parser.add_argument("--list", action="store_true", help="only say which networks are stored, and where")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        missing = missing_networks()
        if options.list:
            for name in CHECKSUMS:
                _log.info("%s: %s", networks_folder() / name, "missing" if name in missing else "stored")
            return 1 if missing else 0
        if missing or options.source:
            obtain_networks(options.source)
        _log.info("MediaPipe's hand networks are in %s", networks_folder())
    except (ModelsError, OSError) as error:
        sys.stderr.write(f"{COMMAND}: {error}\n")
        return 1
    return 0


def missing_networks() -> list[str]:
    """The names of the networks that are not stored, or are damaged."""
    missing = []
    for name in CHECKSUMS:
        try:
            read_stored(name)
        except DetectorUnavailableError:
            missing.append(name)
    return missing


def obtain_networks(source: Path | None = None) -> None:
    """Store the networks in the data folder.

    Args:
        source: a wheel, or a folder in which the files lie at any depth; see the command for None.

    Raises:
        ModelsError: the source has no such files, or other ones, or the wheel cannot be downloaded.
        OSError: a file cannot be read or written.
    """
    if source is not None:
        _store(*_reader(source))
        return
    installed = _installed_mediapipe()
    if installed is not None:
        try:
            _store(*_reader(installed))
            return
        except ModelsError as error:
            _log.info("the installed MediaPipe is not used: %s", error)
    with tempfile.TemporaryDirectory() as folder:
        _store(*_reader(_download(Path(folder))))


def _store(where: str, read: Callable[[str], bytes]) -> None:
    """Verify all files of a source, then store them."""
    contents = {}
    for name in CHECKSUMS:
        try:
            contents[name] = read(name)
        except ValueError as error:
            raise ModelsError(str(error)) from error
        except KeyError:
            if name.endswith("_lite.tflite"):  # used only where model_complexity is 0
                continue
            hint = "the wheels of MediaPipe up to 0.10.21 do"
            if where.endswith(".task"):
                hint = "the node uses a task file where its parameter mediapipe.model_file names it"
            raise ModelsError(f"{where} does not hold {name}; {hint}") from None
        if not is_known(name, contents[name]):
            raise ModelsError(
                f"{name} in {where} is not the file of MediaPipe 0.10.21: its checksum is another"
            )
    for name, content in contents.items():
        with atomic_path(networks_folder() / name) as unfinished:
            unfinished.write_bytes(content)


def _reader(source: Path) -> tuple[str, Callable[[str], bytes]]:
    """Return the name of a source and a function that reads a file of it, or raises KeyError."""
    if source.is_dir():
        found = {path.name: path for path in source.rglob("*.tflite")}
        return str(source), lambda name: read_file(found[name], LARGEST_FILE)
    if not source.is_file():
        raise ModelsError(f"there is no file or folder {source}")

    def read(name: str) -> bytes:
        try:
            with zipfile.ZipFile(source) as archive:
                members = {Path(member).name: member for member in archive.namelist()}
                return read_member(archive, members[name])
        except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError) as error:
            raise ModelsError(f"{source} is not a usable wheel: {error}") from error

    return str(source), read


def _installed_mediapipe() -> Path | None:
    """The folder of an installed MediaPipe, which is not imported."""
    try:
        folder = Path(str(distribution("mediapipe").locate_file("mediapipe")))
    except PackageNotFoundError:
        return None
    return folder if folder.is_dir() else None


def _download(folder: Path) -> Path:
    _log.info("downloading %s with pip (36 MB); it is not installed", _WHEEL)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
    command += ["--disable-pip-version-check", "--dest", str(folder), *_WHEEL_PLATFORM, _WHEEL]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_DOWNLOAD_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ModelsError(f"pip did not finish in {_DOWNLOAD_TIMEOUT_S:.0f} s") from error
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise ModelsError(
            f"pip cannot download {_WHEEL} ({reason}): download its wheel elsewhere and run `{COMMAND} FILE.whl`"
        )
    return wheels[0]
