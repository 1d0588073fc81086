"""Reads large JSON files entry by entry: only the current entry is in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TextIO

from hand_pose_ros.datasets.storage.files import MalformedFileError, require

EVERY: Final = "*"
"""The key of :func:`iterate_json` that stands for all entries."""
_CHUNK: Final = 1 << 20
_DECODER: Final = json.JSONDecoder()


def iterate_json(path: Path, *keys: str) -> Iterator[tuple[Any, Any]]:
    """Yield the entries of a list (number, value) or an object (key, value) of a JSON file.

    Args:
        keys: where the list or object is: the file's own entries without a key, else those of
            ``file[keys[0]]...``. The key ``EVERY`` stands for all; then an entry's key is a pair, of its key
            there and the one inside.

    Raises:
        MalformedFileError: the file is missing, not JSON, or holds no such list or object.
    """
    with require(path).open(encoding="utf-8") as file:
        try:
            yield from _Scanner(file).entries(list(keys))
        except (ValueError, RecursionError) as error:
            raise MalformedFileError(path, f"not the expected JSON: {error}") from error


class _Scanner:
    """A position in a text file, with some text ahead."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text = ""
        self._at = 0
        self._ended = False

    def entries(self, keys: list[str]) -> Iterator[tuple[Any, Any]]:
        for key in self._keys():
            if not keys:
                yield key, self._value()
            elif keys[0] == EVERY:
                for inner, value in self.entries(keys[1:]):
                    yield (key, inner), value
            elif key == keys[0]:
                yield from self.entries(keys[1:])
                return  # the rest of the file is not needed
            else:
                self._skip()
        if keys and keys[0] != EVERY:
            raise ValueError(f"the key {keys[0]!r} is missing")

    def _keys(self) -> Iterator[Any]:
        """Yield each key of an object, or number in a list; the caller reads its value before the next one."""
        opening = self._take("[{")
        closing = "]" if opening == "[" else "}"
        if self._peek() == closing:
            self._at += 1
            return
        number = 0
        while True:
            if opening == "[":
                yield number
            else:
                key = self._value()
                self._take(":")
                yield key
            number += 1
            if self._take("," + closing) == closing:
                return

    def _skip(self) -> None:
        """Read over a value; of a list or object, only one entry is in memory."""
        if self._peek() not in "[{":
            self._value()
            return
        for _ in self._keys():
            self._value()

    def _value(self) -> Any:
        """Read one value. A value that ends with the text ahead may go on: then more is read."""
        self._peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                if not self._more():
                    raise
                continue
            cut = end == len(self._text) or self._text[end] in ".eE"  # in the middle of a number, perhaps
            if cut and self._more():
                continue
            self._at = end
            return value

    def _peek(self) -> str:
        while True:
            while self._at < len(self._text) and self._text[self._at] in " \t\r\n":
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                raise ValueError("the file ends early")

    def _take(self, allowed: str) -> str:
        character = self._peek()
        if character not in allowed:
            raise ValueError(f"expected one of {allowed!r}, got {character!r}")
        self._at += 1
        return character

    def _more(self) -> bool:
        """Read on, at least as much as is ahead already, so that long values are not decoded quadratically
        often.
        """
        if self._ended:
            return False
        chunk = self._file.read(max(_CHUNK, len(self._text) - self._at))
        self._ended = not chunk
        self._text = self._text[self._at :] + chunk
        self._at = 0
        return bool(chunk)
