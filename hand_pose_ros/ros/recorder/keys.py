"""Keys of the terminal, a line each: Enter begins and ends an episode, d discards it, q ends the recorder."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

HELP: Final = "Enter begins or ends an episode, d and Enter discards it, q and Enter ends"
_POLL_S: Final = 0.2
_LINE_BYTES: Final = 1024


@contextmanager
def terminal_keys(pressed: Callable[[str], None]) -> Iterator[bool]:
    """Call ``pressed`` from a thread with each line of the terminal, stripped; yields whether there is one."""
    if not sys.stdin or not sys.stdin.isatty():
        yield False
        return
    ended = threading.Event()
    descriptor = sys.stdin.fileno()

    def read() -> None:
        # Not readline: a thread that waits in it cannot be ended.
        pending = b""
        while not ended.is_set():
            if not select.select([descriptor], [], [], _POLL_S)[0]:
                continue
            content = os.read(descriptor, _LINE_BYTES)
            if not content:
                return
            *lines, pending = (pending + content).split(b"\n")
            for line in lines:
                pressed(line.decode(errors="replace").strip().lower())

    thread = threading.Thread(target=read, name="keys", daemon=True)
    thread.start()
    try:
        yield True
    finally:
        ended.set()
        thread.join()
