"""The module loads a 2.5D heatmap network into a backend: PyTorch or onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.device import BACKENDS, choose_backend, resolve_device
from hand_pose_ros.common.onnx_session import OnnxGraph
from hand_pose_ros.networks.heatmap.config import HeatmapConfig
from hand_pose_ros.networks.heatmap.network import HeatmapNetwork
from hand_pose_ros.networks.heatmap.onnx import GRAPH_INPUTS, HAND_OUTPUT
from hand_pose_ros.networks.registry import HAND_HEATMAP, load_network, shipped_weights
from hand_pose_ros.networks.runtime.onnx_cache import cached_heatmap_graph
from hand_pose_ros.networks.weights import load_weights


class Read2d5(NamedTuple):
    """2.5D poses of n crops, on the CPU.

    points: (n, 21, 2) from -1 to 1 across the crop. depth: (n, 21) relative to the wrist, anchor lengths,
    positive = away. log_sigma: (n, 21) logarithm of the expected mean absolute error of x and y, unit of the
    points. hand: (n, 2) probability of a hand and likelihood of a right one; NaN if the network states neither.
    """

    points: Tensor
    depth: Tensor
    log_sigma: Tensor
    hand: Tensor


class RunnableHeatmap(Protocol):
    """Run-time interface of a 2.5D network.

    config: says how its crops are cut.
    """

    config: HeatmapConfig

    def read(self, images: Tensor) -> Read2d5:
        """Read crops (n, 3, image_size, image_size) of right hands, RGB in [0, 1], on the CPU."""
        ...


def load_heatmap_network(
    path: str | Path, backend: str = "auto", device: str = "auto", threads: int = 2
) -> RunnableHeatmap:
    """Load the network in a weight file.

    Args:
        path: the weight file; empty for the shipped one.
        backend: see :func:`~hand_pose_ros.estimator.diffusion.backends.load_denoiser`; 'compiled' is 'torch' here.
        threads: of onnxruntime on the CPU; 0 for one per core.

    Raises:
        ValueError: no such backend or device, or the file is missing, damaged or of another network, or
            its depths are not in anchor lengths.
    """
    path = path or shipped_weights(HAND_HEATMAP)
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {BACKENDS}, got {backend!r}")
    config = HeatmapConfig.from_dict(load_weights(path, HAND_HEATMAP).config)
    if config.bone != hand.ANCHOR_BONE:
        raise ValueError(f"{path}: depths are in lengths of bone {config.bone}, not of the anchor bone")
    if choose_backend(backend, device) == "onnxruntime":
        return OnnxHeatmap(config, OnnxGraph(cached_heatmap_graph(path), device, threads))
    return TorchHeatmap(load_network(path, HAND_HEATMAP, device=resolve_device(device)).network)


class TorchHeatmap:
    """A :class:`RunnableHeatmap` that PyTorch runs."""

    def __init__(self, network: HeatmapNetwork) -> None:
        self.config = network.config
        self._network = network
        self._device = next(network.parameters()).device

    @torch.inference_mode()
    def read(self, images: Tensor) -> Read2d5:
        """See :class:`RunnableHeatmap`."""
        output = self._network.stages(images.to(self._device))[-1]
        return _read(output.joints.points, output.joints.depth, output.joints.log_sigma, output.hand)


class OnnxHeatmap:
    """A :class:`RunnableHeatmap` that onnxruntime runs."""

    def __init__(self, config: HeatmapConfig, graph: OnnxGraph) -> None:
        self.config = config
        self._graph = graph

    @torch.inference_mode()
    def read(self, images: Tensor) -> Read2d5:
        """See :class:`RunnableHeatmap`."""
        found = dict(zip(self._graph.outputs, self._graph.run({GRAPH_INPUTS[0]: images}), strict=True))
        return _read(found["points"], found["depth"], found["log_sigma"], found.get(HAND_OUTPUT))


def _read(points: Tensor, depth: Tensor, log_sigma: Tensor, logits: Tensor | None) -> Read2d5:
    known = points.new_full((len(points), 2), torch.nan) if logits is None else logits.sigmoid()
    return Read2d5(*(value.float().cpu() for value in (points, depth, log_sigma, known)))
