"""The module exports weight files to ONNX on first use and keeps the exports in the user's cache folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hand_pose_ros.networks.diffusion.onnx import FORMAT_VERSION, METADATA_FILE, export_onnx
from hand_pose_ros.networks.export_cache import export_once
from hand_pose_ros.networks.onnx_graph import checksum
from hand_pose_ros.networks.registry import DENOISERS, TEMPORAL, load_network
from hand_pose_ros.networks.temporal.onnx import GRAPH_FILE, GRAPH_VERSION, export_temporal


def cached_export(weights: str | Path) -> Path:
    """The folder with the ONNX export of a diffusion network's weight file.

    The first call exports, which takes some seconds; :mod:`hand_pose_ros.networks.export_cache` says where to. The
    folder's name contains the checksum of the weights, so that other weights of the same name get another export.

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
    return export_once(name, last_file, lambda folder: export(load(), folder))
