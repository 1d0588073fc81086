"""Reading of NumPy's files from others: numbers only, and never more memory than a bound."""

from __future__ import annotations

import io
import math
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from hand_pose_ros.files.bounded_text import shortened
from hand_pose_ros.files.regular_file import read_file

MOST_BYTES: Final = 2 << 30
_ERRORS: Final = (
    ValueError, TypeError, KeyError, EOFError, OSError, SyntaxError, OverflowError, RecursionError, MemoryError,
    NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error, tokenize.TokenError,
)  # fmt: skip


def read_array(path: str | Path, most_bytes: int = MOST_BYTES) -> NDArray[Any]:
    """The array of an ``.npy`` file.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: it is not a regular file, damaged, larger than ``most_bytes``, or holds objects.
    """
    content = read_file(path, most_bytes)
    try:
        return _array(content)
    except _ERRORS as error:
        raise ValueError(f"{path} is not a NumPy file of numbers: {shortened(str(error))}") from error


def read_arrays(
    path: str | Path, most_bytes: int = MOST_BYTES, names: Collection[str] | None = None
) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` file by name.

    Args:
        most_bytes: of the file, and of all arrays together. names: the only arrays that are read; None for all.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: as for :func:`read_array`.
    """
    content = read_file(path, most_bytes)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(member.file_size for member in archive.infolist()) > most_bytes:
                raise ValueError(f"its arrays have more than {most_bytes} bytes")
            return {
                member.filename.removesuffix(".npy"): _array(archive.read(member))
                for member in archive.infolist()
                if member.filename.endswith(".npy")
                and (names is None or member.filename.removesuffix(".npy") in names)
            }
    except _ERRORS as error:
        raise ValueError(f"{path} is not an npz file of numbers: {shortened(str(error))}") from error


def array_names(path: str | Path, most_bytes: int = MOST_BYTES) -> list[str]:
    """The names of the arrays of an ``.npz`` file.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: as for :func:`read_array`.
    """
    content = read_file(path, most_bytes)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
    except _ERRORS as error:
        raise ValueError(f"{path} is not an npz file of numbers: {shortened(str(error))}") from error
    return [name.removesuffix(".npy") for name in names if name.endswith(".npy")]


def _array(content: bytes) -> NDArray[Any]:
    """The array of an npy file's content, which must have exactly the bytes that its header asks for."""
    file = io.BytesIO(content)
    version = npy.read_magic(file)
    readers: dict[tuple[int, int], Any] = {
        (1, 0): npy.read_array_header_1_0,
        (2, 0): npy.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"version {version[0]}.{version[1]} of the format is not read")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Python's parser, at what a damaged header holds
        shape, by_columns, kind = readers[version](file)
    if kind.hasobject:
        raise ValueError("it holds objects, which would have to be unpickled")
    if any(length < 0 for length in shape) or math.prod(shape) * kind.itemsize != len(content) - file.tell():
        raise ValueError(f"it has {len(content)} bytes, not those of an array {shape} of {kind}")
    array = (
        np.frombuffer(content, kind, math.prod(shape), file.tell())
        if kind.itemsize
        else np.zeros(shape, kind)
    )
    return array.reshape(shape[::-1]).T.copy() if by_columns else array.reshape(shape).copy()
