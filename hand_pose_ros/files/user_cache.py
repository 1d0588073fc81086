"""The module keeps what is slow to make, such as exported networks, in the user's cache folder.

Each entry is a folder with ``manifest.json``, which is written last: what the entry was made from, and the
checksum of every file. An entry that differs from its manifest, or that somebody else can write to, is made again.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hand_pose_ros.files.regular_file import checksum, read_text
from hand_pose_ros.files.user_folders import is_private, usable_cache_folders

MANIFEST: Final = "manifest.json"
_UNUSABLE: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOLCK, errno.EIO}
)
"""Errors of a folder rather than of what is made: the disk is full, it cannot be written to, or has no locks."""
_LOGGER = logging.getLogger(__name__)


def made_once(
    name: str, inputs: Mapping[str, str], make: Callable[[Path], None], replaces: str | None = None
) -> Path:
    """Return the folder of an entry of the cache, which is made if it is not there, or not as it was made.

    Threads and processes that need the same entry wait for the one that makes it. An entry appears when it is
    complete; if ``make`` raises, nothing remains.

    Args:
        name: of the folder; it has to change with the inputs, or processes with other inputs replace each other's
            entries while these are read.
        inputs: name -> version or checksum of everything that the content depends on.
        make: writes the content into a new folder.
        replaces: pattern of the names of entries that a new one replaces.

    Raises:
        OSError: no folder can be written to: see :func:`~hand_pose_ros.files.user_folders.usable_cache_folders`.
    """
    failed: OSError | None = None
    for cache in usable_cache_folders():
        try:
            return _entry(cache, name, dict(inputs), make, replaces)
        except OSError as error:
            if error.errno not in _UNUSABLE:
                raise
            _LOGGER.warning("%s cannot be used: %s", cache, error)
            failed = error
    raise failed or OSError("there is no folder for caches")


def _entry(
    cache: Path, name: str, inputs: dict[str, str], make: Callable[[Path], None], replaces: str | None
) -> Path:
    entry = cache / name
    if _is_complete(entry, inputs):
        return entry
    with _locked(cache / f".{name}.lock"):
        if _is_complete(entry, inputs):  # made while this one waited
            return entry
        _LOGGER.info("making %s, once", entry)
        for left in cache.glob(f".{name}.*.unfinished"):  # of a process that was killed: the lock is ours
            shutil.rmtree(left, ignore_errors=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{name}.", suffix=".unfinished", dir=cache))
        try:
            make(unfinished)
            files = {path.name: checksum(path) for path in sorted(unfinished.iterdir())}
            for path in unfinished.iterdir():
                path.chmod(0o600)
            (unfinished / MANIFEST).write_text(
                json.dumps({"inputs": inputs, "files": files}), encoding="utf-8"
            )
            _remove(entry)
            unfinished.rename(entry)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        for outdated in cache.glob(replaces) if replaces else ():
            if outdated != entry:
                _remove(outdated)
    return entry


def _is_complete(entry: Path, inputs: Mapping[str, str]) -> bool:
    """Whether the entry is as it was made, from these inputs, and safe from others."""
    try:
        if not (is_private(entry) and all(is_private(path) for path in entry.iterdir())):
            _LOGGER.warning("%s can be written to by others: it is made again", entry)
            return False
        manifest = json.loads(read_text(entry / MANIFEST))
        if manifest["inputs"] != inputs:
            return False
        is_same = all(checksum(entry / name) == known for name, known in manifest["files"].items())
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        _LOGGER.warning("%s is damaged (%s): it is made again", entry, error)
        return False
    if not is_same:
        _LOGGER.warning("%s is damaged: it is made again", entry)
    return is_same


@contextmanager
def _locked(path: Path) -> Generator[None, None, None]:
    """Hold a lock between processes and threads: each call opens the file itself."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _remove(path: Path) -> None:
    """Remove a folder under its own name at once, so that nobody finds half of it."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        away = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".unfinished", dir=path.parent))
        path.rename(away / path.name)
        shutil.rmtree(away, ignore_errors=True)
