"""Reading of files of bounded size, which must be files: opening a pipe or a device as one could wait for ever."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Final

MOST_TEXT_BYTES: Final = 4 << 20
"""Default limit of a text that people or tools write: a configuration, a report, a list of labels."""


def read_file(path: str | Path, most_bytes: int) -> bytes:
    """The content of a regular file, or of a link to one.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: it is a folder, pipe, socket or device, or has more than ``most_bytes`` bytes.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError(f"{path} is a folder, pipe or device; a file is needed")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(most_bytes + 1)
    finally:
        os.close(descriptor)
    if len(content) > most_bytes:
        raise ValueError(f"{path} has more than {most_bytes} bytes")
    return content


def read_text(path: str | Path, most_bytes: int = MOST_TEXT_BYTES) -> str:
    """The content of a UTF-8 file, see :func:`read_file`.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: it is not a regular file, too large, or not UTF-8.
    """
    try:
        return read_file(path, most_bytes).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text in UTF-8: {error.reason} at byte {error.start}") from error


def checksum(path: str | Path) -> str:
    """The SHA-256 of a file of any size, in hexadecimal digits.

    Raises:
        OSError: the file is missing or cannot be read.
    """
    total = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while part := file.read(1 << 20):
            total.update(part)
    return total.hexdigest()
