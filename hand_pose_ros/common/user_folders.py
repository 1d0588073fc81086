"""The folders in which the package keeps files of a user: caches, which can be made again, and data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

DATA_VARIABLE: Final = "HAND_POSE_DATA"
"""Environment variable that names the data folder itself."""


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/hand_pose_ros``, by default ``~/.cache/hand_pose_ros``. It may not exist yet.

    Raises:
        OSError: the user has no home folder.
    """
    return _folder("XDG_CACHE_HOME", ".cache")


def data_folder() -> Path:
    """``$HAND_POSE_DATA``, else ``$XDG_DATA_HOME/hand_pose_ros``, by default ``~/.local/share/hand_pose_ros``.

    It may not exist yet.

    Raises:
        OSError: the user has no home folder, and neither variable is set.
    """
    named = os.environ.get(DATA_VARIABLE)
    return Path(named).absolute() if named else _folder("XDG_DATA_HOME", ".local/share")


def _folder(variable: str, beside: str) -> Path:
    named = os.environ.get(variable, "")
    # The XDG specification: relative paths are invalid and are to be ignored.
    if os.path.isabs(named):
        return Path(named) / "hand_pose_ros"
    try:
        return Path.home() / beside / "hand_pose_ros"
    except RuntimeError as error:
        raise OSError(f"this user has no home folder: set {variable} to an absolute path") from error
