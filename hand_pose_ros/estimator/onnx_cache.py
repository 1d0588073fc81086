"""ONNX exports of weight files, made when they are first needed and kept in the user's cache folder."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

from hand_pose_ros.networks.hand_onnx import (
    FORMAT_VERSION,
    METADATA_FILE,
    checksum,
    export_onnx,
    load_denoising_network,
)

_LOGGER = logging.getLogger(__name__)


def cached_export(weights: str | Path) -> Path:
    """The folder with the ONNX export of a weight file: from the cache, or made now, which takes some seconds.

    The cache is ``$XDG_CACHE_HOME/hand_pose_ros`` (``~/.cache/hand_pose_ros``); where that cannot be written to,
    the export goes to a temporary folder and is made anew by the next process. Exports are kept by their weights'
    checksum, so that other weights of the same name never meet an old export.

    Raises:
        ValueError: the file is missing, damaged, or holds no diffusion network.
    """
    weights = Path(weights)
    if not weights.is_file():
        raise ValueError(f"there is no weight file {weights}")
    name = f"{weights.stem}-{checksum(weights)[:16]}-v{FORMAT_VERSION}"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "hand_pose_ros" / name
    if (folder / METADATA_FILE).is_file():
        return folder
    model = load_denoising_network(weights)
    _LOGGER.info("exporting %s for onnxruntime to %s, once", weights, folder)
    try:
        export_onnx(model, folder)
    except OSError as error:
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        _LOGGER.warning("the cache cannot be written to (%s): the export goes to %s", error, folder)
        export_onnx(model, folder)
    return folder
