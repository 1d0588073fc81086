"""Atomic writing of files: written under another name first, then renamed."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: str | Path) -> Generator[Path, None, None]:
    """A path beside ``path`` to write to; renamed to ``path`` at the end, or removed if the block raises.

    An interruption or a full disk leaves the old content of ``path``. Missing folders are created.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        yield unfinished
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_text_atomically(path: str | Path, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, see :func:`atomic_path`."""
    with atomic_path(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
