"""A status line shows progress: rewritten in place on a terminal, printed at intervals elsewhere."""

from __future__ import annotations

import math
import shutil
import time
from typing import Final, TextIO

_EVERY_S: Final = 3.0
_CLEAR: Final = "\r\x1b[K"


class StatusLine:
    """Writes to a stream: ``update`` as often as wanted, ``say`` for lines that stay."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._in_place = stream.isatty()
        self._shown = ""
        self._last_s = -math.inf

    def update(self, text: str) -> None:
        """Show the current status."""
        now_s = time.monotonic()
        if self._in_place:
            self._shown = text[: shutil.get_terminal_size().columns - 1]
            self._stream.write(_CLEAR + self._shown)
            self._stream.flush()
        elif text != self._shown and now_s - self._last_s >= _EVERY_S:
            self._shown, self._last_s = text, now_s
            self._stream.write(text + "\n")
            self._stream.flush()

    def say(self, text: str) -> None:
        """Write a line, or several, that stay."""
        self.clear()
        self._stream.write(text + "\n")
        self._stream.flush()

    def clear(self) -> None:
        """Remove the status from a terminal."""
        if self._in_place and self._shown:
            self._stream.write(_CLEAR)
            self._stream.flush()
            self._shown = ""
