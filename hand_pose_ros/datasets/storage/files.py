"""Reads the files of a data set; every error names the file."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml


class MalformedFileError(ValueError):
    """A file of a data set is missing or has another form than its authors publish.

    path: of that file.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path


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
    image = cv2.imread(str(require(path)), cv2.IMREAD_COLOR)
    if image is None:
        raise MalformedFileError(path, "not an image")
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
    values = cv2.imread(str(require(path)), cv2.IMREAD_UNCHANGED)
    if values is None:
        raise MalformedFileError(path, "not an image")
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
    try:
        return json.loads(require(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise _renamed(path, error) from error


def read_yaml(path: Path) -> Any:
    """Read a YAML file; Python tuples, which DexYCB writes, are lists.

    Raises:
        MalformedFileError: it is missing, not YAML, or asks for another Python object.
    """
    try:
        return yaml.load(require(path).read_text(encoding="utf-8"), _PlainYaml)
    except (ValueError, yaml.YAMLError) as error:
        raise _renamed(path, error) from error


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of an npz file; arrays of Python objects are refused.

    Raises:
        MalformedFileError: it is missing or not such a file.
    """
    try:
        with np.load(require(path), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except MalformedFileError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy have no common error
        raise MalformedFileError(path, f"not an npz file of numbers: {error}") from error


def read_lines(path: Path) -> list[str]:
    """Read the lines of a text file that are not empty.

    Raises:
        MalformedFileError: it is missing or not UTF-8.
    """
    try:
        lines = require(path).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise _renamed(path, error) from error
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


class _PlainYaml(yaml.SafeLoader):
    """YAML without objects; Python's tuples are lists."""


def _list(loader: yaml.SafeLoader, node: yaml.Node) -> list[Any]:
    if not isinstance(node, yaml.SequenceNode):
        raise yaml.YAMLError(f"a tuple must be a sequence, got {node.tag}")
    return loader.construct_sequence(node)


_PlainYaml.add_constructor("tag:yaml.org,2002:python/tuple", _list)


def _renamed(path: Path, error: Exception) -> MalformedFileError:
    return error if isinstance(error, MalformedFileError) else MalformedFileError(path, str(error))
