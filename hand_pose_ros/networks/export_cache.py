"""The module keeps ONNX exports of networks in the user's cache folder, so that each is made once."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

from hand_pose_ros.common.user_folders import cache_folder

_LOGGER = logging.getLogger(__name__)


def export_once(name: str, last_file: str, export: Callable[[Path], None]) -> Path:
    """Return the folder of an export, which is made if it is not in the cache.

    The cache is ``$XDG_CACHE_HOME/hand_pose_ros`` (``~/.cache/hand_pose_ros``); if it is not writable, the export
    goes to a temporary folder and the next process exports again.

    Args:
        name: of the folder; it must change whenever the content does.
        last_file: the export is complete when this file exists.
        export: writes the export into a folder.
    """
    try:
        folder = cache_folder() / name
        if (folder / last_file).is_file():
            return folder
        _LOGGER.info("exporting %s for onnxruntime to %s, once", name, folder)
        export(folder)
    except OSError as error:
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        _LOGGER.warning("the cache cannot be written to (%s): the export goes to %s", error, folder)
        export(folder)
    return folder
