"""Reads pickles of numbers, which some sets publish, without calling what they name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hand_pose_ros.common import safe_pickle
from hand_pose_ros.datasets.storage.files import MalformedFileError, require


def read_pickle(path: Path) -> Any:
    """Read a pickle of arrays, numbers, texts and plain containers, of Python 2 or 3.

    Raises:
        MalformedFileError: the file is missing, damaged, or names anything but NumPy's arrays.
    """
    try:
        return safe_pickle.read_pickle(require(path))
    except MalformedFileError:
        raise
    except (ValueError, OSError) as error:
        raise MalformedFileError(path, str(error).removeprefix(f"{path} is ")) from error
