"""Reads the files of a data set; every error names the file."""

from __future__ import annotations

from collections.abc import Collection, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from hand_pose_ros.files import safe_arrays, safe_json, safe_pickle, safe_yaml
from hand_pose_ros.files.image_file import read_image as read_checked
from hand_pose_ros.files.regular_file import read_text

_MOST_TEXT_BYTES: Final = 1 << 30
_PYTHON_TUPLE: Final = "tag:yaml.org,2002:python/tuple"


AGAIN: Final = "the set may be incomplete, or of another version: download or extract it again"
"""What to do about a file without which a set cannot be read."""
OR_SKIP: Final = f"{AGAIN}, or leave out the hands of such files by `--malformed skipped`"
"""What to do about a file of some hands."""


class MalformedFileError(ValueError):
    """A file of a data set is missing or has another form than its authors publish.

    path: of that file. reason: what is wrong with it. remedy: what to do about it, '' if not known.
    """

    def __init__(self, path: Path, reason: str, remedy: str = "") -> None:
        super().__init__(f"{path}: {reason}" + (f"; {remedy}" if remedy else ""))
        self.path, self.reason, self.remedy = path, reason, remedy

    def __reduce__(self) -> tuple[type[MalformedFileError], tuple[Path, str, str]]:
        """Return what makes the error again in another process."""
        return type(self), (self.path, self.reason, self.remedy)

    def advised(self, remedy: str) -> MalformedFileError:
        """Return the error with a remedy, if it has none yet."""
        return self if self.remedy else MalformedFileError(self.path, self.reason, remedy)


def require(path: Path) -> Path:
    """Return ``path``.

    Raises:
        MalformedFileError: there is no such file or folder.
    """
    if not path.exists():
        raise MalformedFileError(path, "missing")
    return path


def read_image(path: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """Read an image (H, W, 3) uint8 BGR.

    Args:
        size: width and height that it must have; None for any.

    Raises:
        MalformedFileError: it is missing, not an image, or has another size.
    """
    image = _image(path, cv2.IMREAD_COLOR)
    if size is not None and image.shape[1::-1] != tuple(size):
        raise MalformedFileError(
            path,
            f"the image has {image.shape[1]} x {image.shape[0]} pixels, its labels are of {size[0]} x {size[1]}",
        )
    return image


def read_values(path: Path) -> np.ndarray:
    """Read the values (H, W) of an image with one channel, such as the classes of a segmentation.

    Raises:
        MalformedFileError: it is missing or not an image.
    """
    values = _image(path, cv2.IMREAD_UNCHANGED)
    return values if values.ndim == 2 else values[..., 0]


def read_mask(path: Path, values: Collection[int]) -> np.ndarray:
    """Return which pixels (H, W) bool of :func:`read_values` have one of the values.

    Raises:
        MalformedFileError: the file is missing or not an image.
    """
    return np.isin(read_values(path), list(values))


def read_json(path: Path) -> Any:
    """Read a small JSON file.

    Raises:
        MalformedFileError: it is missing or not JSON.
    """
    with _named(path):
        return safe_json.read_json(require(path), _MOST_TEXT_BYTES)


def read_yaml(path: Path) -> Any:
    """Read a YAML file; Python tuples, which DexYCB writes, are lists.

    Raises:
        MalformedFileError: it is missing, not YAML, or asks for another Python object.
    """
    with _named(path):
        return safe_yaml.read_yaml(require(path), plain_tags=(_PYTHON_TUPLE,))


def npz_names(path: Path) -> list[str]:
    """Return the names of the arrays of an npz file.

    Raises:
        MalformedFileError: it is missing or not such a file.
    """
    with _named(path):
        return safe_arrays.array_names(require(path))


def read_npz(path: Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Read the arrays of an npz file; arrays of Python objects are refused.

    ``names``: of the arrays to read; those of them that the file has are returned. None for all.

    Raises:
        MalformedFileError: it is missing or not such a file.
    """
    with _named(path):
        return safe_arrays.read_arrays(require(path), names=names)


def read_pickle(path: Path) -> Any:
    """Read a pickle of arrays, numbers, texts and plain containers, of Python 2 or 3; nothing it names is called.

    Raises:
        MalformedFileError: the file is missing, damaged, or names anything but NumPy's arrays.
    """
    with _named(path):
        return safe_pickle.read_pickle(require(path))


def read_lines(path: Path) -> list[str]:
    """Read the lines of a text file that are not empty.

    Raises:
        MalformedFileError: it is missing or not UTF-8.
    """
    with _named(path):
        lines = read_text(require(path), _MOST_TEXT_BYTES).splitlines()
    return [line.strip() for line in lines if line.strip()]


def floats(path: Path, values: Any, *shape: int, what: str) -> np.ndarray:
    """Return ``values`` as a float64 array of a shape.

    Raises:
        MalformedFileError: they are not such numbers.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MalformedFileError(path, f"{what} must be numbers: {error}") from error
    if array.shape != shape:
        raise MalformedFileError(path, f"{what} must have shape {shape}, got {array.shape}")
    return array


def _image(path: Path, flags: int) -> np.ndarray:
    with _named(path, "not an image: "):
        return read_checked(require(path), flags)


@contextmanager
def _named(path: Path, kind: str = "") -> Generator[None, None, None]:
    """Raise the errors of a reader as MalformedFileError; ``kind`` begins the reason."""
    try:
        yield
    except MalformedFileError:
        raise
    except (ValueError, OSError) as error:
        raise MalformedFileError(
            path, kind + str(error).removeprefix(f"{path} ").removeprefix("is ")
        ) from error
