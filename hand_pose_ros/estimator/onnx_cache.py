"""The module exports weight files to ONNX on first use and keeps the exports in the user's cache folder."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from hand_pose_ros.networks.diffusion.onnx import FORMAT_VERSION, METADATA_FILE, export_onnx
from hand_pose_ros.networks.onnx_graph import checksum
from hand_pose_ros.networks.registry import DENOISERS, TEMPORAL, load_network
from hand_pose_ros.networks.temporal.onnx import GRAPH_FILE, GRAPH_VERSION, export_temporal

_LOGGER = logging.getLogger(__name__)


def cached_export(weights: str | Path) -> Path:
    """The folder with the ONNX export of a diffusion network's weight file.

    The first call exports, which takes some seconds. The cache is ``$XDG_CACHE_HOME/hand_pose_ros``
    (``~/.cache/hand_pose_ros``); if it is not writable, the export goes to a temporary folder and the next process
    exports again. The folder's name contains the checksum of the weights, so that other weights of the same name
    get another export.

    Raises:
        ValueError: the file is missing, damaged, or holds no diffusion network.
    """
    return _cached(
        Path(weights),
        FORMAT_VERSION,
        METADATA_FILE,
        lambda: load_network(weights, *DENOISERS).network,
        export_onnx,
    )


def cached_temporal_graph(weights: str | Path) -> Path:
    """The ONNX graph of a temporal transformer's weight file; otherwise like :func:`cached_export`.

    Raises:
        ValueError: the file is missing, damaged, or holds no temporal transformer.
    """
    folder = _cached(
        Path(weights),
        GRAPH_VERSION,
        GRAPH_FILE,
        lambda: load_network(weights, TEMPORAL).network,
        lambda model, folder: export_temporal(model, folder / GRAPH_FILE),
    )
    return folder / GRAPH_FILE


def _cached(weights: Path, version: int, last_file: str, load: Callable, export: Callable[..., None]) -> Path:
    """Return the folder of an export; the export is complete when ``last_file`` exists."""
    if not weights.is_file():
        raise ValueError(f"there is no weight file {weights}")
    name = f"{weights.stem}-{checksum(weights)[:16]}-v{version}"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "hand_pose_ros" / name
    if (folder / last_file).is_file():
        return folder
    model = load()
    _LOGGER.info("exporting %s for onnxruntime to %s, once", weights, folder)
    try:
        export(model, folder)
    except OSError as error:
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        _LOGGER.warning("the cache cannot be written to (%s): the export goes to %s", error, folder)
        export(model, folder)
    return folder
