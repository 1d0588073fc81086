"""The folders in which the package keeps files of a user: caches, which can be made again, and data."""

from __future__ import annotations

import logging
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

DATA_VARIABLE: Final = "HAND_POSE_DATA"
"""Environment variable that names the data folder itself."""
SHARED_DATA: Final = Path(sys.prefix) / "share" / "hand_pose_ros_data"
"""Data folder of the Python environment, for all its users."""
_SYSTEM_DATA: Final = "/usr/local/share:/usr/share"
_PACKAGE: Final = "hand_pose_ros"
_LOGGER = logging.getLogger(__name__)


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/hand_pose_ros``, by default ``~/.cache/hand_pose_ros``. It may not exist yet.

    Raises:
        OSError: the user has no home folder.
    """
    return _folder("XDG_CACHE_HOME", ".cache")


def usable_cache_folders() -> Iterator[Path]:
    """Folders for caches that exist, belong to this user, and that nobody else can write to, the best one first.

    They are :func:`cache_folder`; ``hand_pose_ros-UID`` in the folder for temporary files, which all processes of
    this user share; and a temporary folder that is removed at exit. Those of others are left out. A folder may be
    on a file system that is read-only: what is complete in it can be used.

    Raises:
        OSError: there is no place for temporary files.
    """
    for find in (cache_folder, _shared_temporary_folder):
        try:
            folder = _own_folder(find())
        except OSError as error:
            _LOGGER.warning("a folder for caches cannot be used: %s", error)
        else:
            yield folder
    folder = Path(_temporary_folder().name)
    _LOGGER.warning("no cache can be used: files go to %s until this process ends", folder)
    yield folder


def data_folder() -> Path:
    """``$HAND_POSE_DATA``, else ``$XDG_DATA_HOME/hand_pose_ros``, by default ``~/.local/share/hand_pose_ros``.

    It may not exist yet.

    Raises:
        OSError: the user has no home folder, and neither variable is set.
    """
    named = os.environ.get(DATA_VARIABLE)
    return Path(named).absolute() if named else _folder("XDG_DATA_HOME", ".local/share")


def data_folders() -> list[Path]:
    """The folders in which data are searched: :func:`data_folder`, ``SHARED_DATA``, then ``$XDG_DATA_DIRS``.

    A user without a home folder finds there what another one has stored for all. ``$HAND_POSE_DATA`` is searched
    alone.
    """
    if os.environ.get(DATA_VARIABLE):
        return [data_folder()]
    try:
        own = [data_folder()]
    except OSError:
        own = []
    system = (os.environ.get("XDG_DATA_DIRS") or _SYSTEM_DATA).split(":")
    return [*own, SHARED_DATA, *(Path(one) / _PACKAGE for one in system if os.path.isabs(one))]


def is_private(path: Path) -> bool:
    """Return whether a file or folder belongs to this user and nobody else can write to it; links do not count."""
    status = path.lstat()
    is_own = status.st_uid == os.geteuid() and not stat.S_ISLNK(status.st_mode)
    return is_own and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _own_folder(path: Path) -> Path:
    """Make a folder if needed, and take the right to write to it from others.

    Raises:
        OSError: it cannot be made, or is somebody else's.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise OSError(f"{path} is not a folder of this user")
    if not is_private(path):
        path.chmod(stat.S_IMODE(status.st_mode) & ~(stat.S_IWGRP | stat.S_IWOTH))
    return path


def _shared_temporary_folder() -> Path:
    return Path(tempfile.gettempdir()) / f"{_PACKAGE}-{os.geteuid()}"


@lru_cache(maxsize=1)
def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """One for the process; Python removes it at exit."""
    return tempfile.TemporaryDirectory(prefix=f"{_PACKAGE}-", ignore_cleanup_errors=True)


def _folder(variable: str, beside: str) -> Path:
    named = os.environ.get(variable, "")
    # The XDG specification: relative paths are invalid and are to be ignored.
    if os.path.isabs(named):
        return Path(named) / _PACKAGE
    try:
        home = Path.home()
    except RuntimeError as error:
        raise OSError(f"this user has no home folder: set {variable} to an absolute path") from error
    if not home.is_absolute():
        raise OSError(f"the home folder {home} is not an absolute path: set {variable} to one")
    return home / beside / _PACKAGE
