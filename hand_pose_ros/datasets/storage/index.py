"""An index of a data set: a table of fixed-size rows on disk that is memory-mapped, so any row is read at
once.

The index lies in ``.hand_pose_index`` beside the set, or in the user's cache folder where that is not
writable. It is built once, and again when the set's own index files or the reader's options have changed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np

FORMAT_VERSION: Final = 1
FOLDER: Final = ".hand_pose_index"
_DONE: Final = "index.json"

_log = logging.getLogger(__name__)


class Column(NamedTuple):
    """A column: its NumPy type ('S80' for texts of up to 80 bytes) and the shape of one entry."""

    dtype: str
    shape: tuple[int, ...] = ()


class Index:
    """The rows of an index.

    skipped: why entries of the set were left out when it was built, at most ``MOST_REASONS`` of them, and
    skipped_count: how many were.
    """

    def __init__(self, folder: Path) -> None:
        facts = json.loads((folder / _DONE).read_text(encoding="utf-8"))
        self._count = int(facts["count"])
        self.folder = folder
        self.skipped: list[str] = facts["skipped"]
        self.skipped_count: int = facts["skipped_count"]
        self._columns = {
            name: Column(dtype, tuple(shape)) for name, (dtype, shape) in facts["columns"].items()
        }
        self._files: dict[str, BinaryIO] = {}

    def __len__(self) -> int:
        """Number of rows."""
        return self._count

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for another process, which opens the files itself."""
        return {**self.__dict__, "_files": {}}

    def column(self, name: str) -> np.ndarray:
        """Return a whole column (n, ...), memory-mapped and read-only."""
        dtype, shape = self._columns[name]
        return np.memmap(self._path(name), dtype, "r", shape=(self._count, *shape))

    def row(self, number: int) -> dict[str, Any]:
        """Read one row: texts as str, numbers as int or float, arrays as float64 or their integer type.

        Only the row is read: mapped pages would count as memory of the process.

        Raises:
            IndexError: there is no such row.
        """
        if not 0 <= number < self._count:
            raise IndexError(f"row {number} of {self._count}")
        return {name: self._entry(name, column, number) for name, column in self._columns.items()}

    def _entry(self, name: str, column: Column, number: int) -> Any:
        if name not in self._files:
            self._files[name] = self._path(name).open("rb", buffering=0)
        dtype = np.dtype(column.dtype)
        size = dtype.itemsize * math.prod(column.shape)
        read = np.frombuffer(os.pread(self._files[name].fileno(), size, number * size), dtype)
        return _plain(read.reshape(column.shape) if column.shape else read[0])

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.bin"


MOST_REASONS: Final = 100


def open_index(
    beside: Path,
    name: str,
    sources: Sequence[Path],
    options: Mapping[str, Any],
    columns: Mapping[str, Column],
    rows: Callable[[list[str]], Iterable[Mapping[str, Any]]],
    accept_skipped: bool,
) -> Index:
    """Open the index, and build it first where it is missing or out of date.

    Args:
        beside: folder of the set. name: of the set; with a checksum, it names the index' folder.
        sources: the files that say what the set contains. options: of the reader.
        rows: called with an empty list to build; yields rows of all columns, and appends to the list why an
            entry was left out.
        accept_skipped: whether an index that left entries out may be used.

    Raises:
        ValueError: there is no row.
    """
    kind, stamp = f"{name}-{_checksum([FORMAT_VERSION, dict(options), columns])}", _stamp(beside, sources)
    for folder in (beside / FOLDER, _cache_folder(beside)):
        path = folder / f"{kind}-{stamp}"
        if (path / _DONE).is_file():
            index = Index(path)
            if accept_skipped or not index.skipped_count:
                return index
    return _build(beside, kind, stamp, columns, rows)


def _build(
    beside: Path,
    kind: str,
    stamp: str,
    columns: Mapping[str, Column],
    rows: Callable[[list[str]], Iterable[Mapping[str, Any]]],
) -> Index:
    folder = _writable((beside / FOLDER, _cache_folder(beside)))
    _log.info("indexing %s into %s, once", beside, folder)
    target = folder / f"{kind}-{stamp}"
    unfinished = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=folder))
    try:
        skipped: list[str] = []
        count = _write(unfinished, columns, rows(skipped))
        if not count:
            raise ValueError(
                f"{beside} holds no hand that can be read{_first(skipped)}; is the download complete, and do the "
                "options name a part that is there?"
            )
        facts = {
            "count": count,
            "columns": columns,
            "skipped": skipped[:MOST_REASONS],
            "skipped_count": len(skipped),
        }
        (unfinished / _DONE).write_text(json.dumps(facts), encoding="utf-8")
        for outdated in folder.glob(f"{kind}-*"):
            shutil.rmtree(outdated, ignore_errors=True)
        unfinished.rename(target)
    except OSError:
        if not (target / _DONE).is_file():  # else another process has built it meanwhile
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return Index(target)


def _write(folder: Path, columns: Mapping[str, Column], rows: Iterable[Mapping[str, Any]]) -> int:
    """Append all rows to one file a column; returns their number."""
    count = 0
    with ExitStack() as stack:
        files = {name: stack.enter_context((folder / f"{name}.bin").open("wb")) for name in columns}
        for row in rows:
            for name, (dtype, shape) in columns.items():
                files[name].write(_packed(name, row[name], np.dtype(dtype), shape))
            count += 1
    return count


def _packed(name: str, value: Any, dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    if dtype.kind == "S":
        encoded = str(value).encode()
        if len(encoded) > dtype.itemsize:
            raise ValueError(f"{name} {value!r} is longer than {dtype.itemsize} bytes")
        return encoded.ljust(dtype.itemsize, b"\0")
    array = np.asarray(value, dtype)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    return array.tobytes()


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    array = np.array(value)
    if array.ndim:
        return array.astype(np.float64) if array.dtype.kind == "f" else array
    return array.item()


def _stamp(beside: Path, sources: Sequence[Path]) -> str:
    """Checksum of names, sizes and times of the files that an index depends on."""
    stats = [(os.path.relpath(source, beside), source.stat()) for source in sources]
    return _checksum([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])


def _checksum(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _cache_folder(beside: Path) -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = hashlib.sha256(str(beside.resolve()).encode()).hexdigest()[:16]
    return base / "hand_pose_ros" / "datasets" / place


def _writable(folders: Iterable[Path]) -> Path:
    """Return the first folder that can be made and written to."""
    error: OSError | None = None
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError as found:
            error = found
    raise ValueError(
        f"no folder for the index can be written to: {error}; name one that can be in XDG_CACHE_HOME"
    )


def _first(skipped: Sequence[str]) -> str:
    return f"; the first of {len(skipped)} that cannot: {skipped[0]}" if skipped else ""
