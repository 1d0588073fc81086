"""The module exports weight files to ONNX on first use and keeps the exports in the user's cache folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from hand_pose_ros.files.regular_file import checksum
from hand_pose_ros.files.user_cache import made_once
from hand_pose_ros.networks.diffusion.onnx import FORMAT_VERSION, export_onnx
from hand_pose_ros.networks.hand_detector import onnx as detector_onnx
from hand_pose_ros.networks.heatmap import onnx as heatmap_onnx
from hand_pose_ros.networks.mesh_diffusion import onnx as mesh_onnx
from hand_pose_ros.networks.orientation import onnx as orientation_onnx
from hand_pose_ros.networks.registry import (
    DENOISERS,
    HAND_DETECTOR,
    HAND_HEATMAP,
    HAND_ORIENTATION,
    MESH_DIFFUSION,
    TEMPORAL,
    load_network,
)
from hand_pose_ros.networks.temporal.onnx import GRAPH_FILE, GRAPH_VERSION, export_temporal


def cached_export(weights: str | Path) -> Path:
    """The folder with the ONNX export of a diffusion network's weight file.

    The first call exports, which takes some seconds; :mod:`hand_pose_ros.files.user_cache` says where to. The
    folder's name contains the checksum of the weights, so that other weights of the same name get another export.

    Raises:
        ValueError: the file is missing, damaged, or holds no diffusion network.
    """
    return _cached(
        Path(weights),
        FORMAT_VERSION,
        lambda: load_network(weights, *DENOISERS).network,
        export_onnx,
    )


def cached_temporal_graph(weights: str | Path) -> Path:
    """The ONNX graph of a temporal transformer's weight file; otherwise like :func:`cached_export`.

    Raises:
        ValueError: the file is missing, damaged, or holds no temporal transformer.
    """
    return _cached_graph(weights, TEMPORAL, GRAPH_VERSION, export_temporal, GRAPH_FILE)


def cached_orientation_graph(weights: str | Path) -> Path:
    """The ONNX graph of an orientation network's weight file; otherwise like :func:`cached_export`.

    Raises:
        ValueError: the file is missing, damaged, or holds no orientation network.
    """
    graph = orientation_onnx
    return _cached_graph(
        weights, HAND_ORIENTATION, graph.GRAPH_VERSION, graph.export_orientation, graph.GRAPH_FILE
    )


def cached_heatmap_graph(weights: str | Path) -> Path:
    """The ONNX graph of a 2.5D heatmap network's weight file; otherwise like :func:`cached_export`.

    Raises:
        ValueError: the file is missing, damaged, or holds no heatmap network.
    """
    graph = heatmap_onnx
    return _cached_graph(weights, HAND_HEATMAP, graph.GRAPH_VERSION, graph.export_heatmap, graph.GRAPH_FILE)


def cached_detector_graph(weights: str | Path) -> Path:
    """The ONNX graph of a hand detector's weight file; otherwise like :func:`cached_export`.

    Raises:
        ValueError: the file is missing, damaged, or holds no hand detector.
    """
    graph = detector_onnx
    return _cached_graph(
        weights, HAND_DETECTOR, graph.GRAPH_VERSION, graph.export_hand_detector, graph.GRAPH_FILE
    )


def cached_mesh_graphs(weights: str | Path) -> Path:
    """The folder with the ONNX graphs of a mesh diffusion network; otherwise like :func:`cached_export`.

    Raises:
        ValueError: the file is missing, damaged, or holds no mesh diffusion network with diffusion.
    """
    graph = mesh_onnx
    return _cached(
        Path(weights),
        graph.GRAPH_VERSION,
        lambda: load_network(weights, MESH_DIFFUSION).network,
        graph.export_mesh_diffusion,
    )


def _cached_graph(
    weights: str | Path, kind: str, version: int, export: Callable[..., None], file: str
) -> Path:
    """Return the one graph of a network's export. ``export``: writes the network given to the path given."""
    folder = _cached(
        Path(weights),
        version,
        lambda: load_network(weights, kind).network,
        lambda model, folder: export(model, folder / file),
    )
    return folder / file


def _cached(weights: Path, version: int, load: Callable, export: Callable[..., None]) -> Path:
    """Return the folder of an export."""
    if not weights.is_file():
        raise ValueError(f"there is no weight file {weights}")
    digest = checksum(weights)
    inputs = {"weights": digest, "version": str(version), "torch": torch.__version__}
    name = f"{weights.stem[:60]}-{digest[:16]}-v{version}-torch{torch.__version__}"
    return made_once(name, inputs, lambda folder: export(load(), folder))
