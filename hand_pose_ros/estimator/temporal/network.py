"""The module loads the temporal transformer into a backend: PyTorch or onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from hand_pose_ros.common.device import BACKENDS, choose_backend, resolve_device
from hand_pose_ros.common.named_tensors import each
from hand_pose_ros.common.onnx_session import OnnxGraph
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.networks.registry import TEMPORAL, load_network
from hand_pose_ros.networks.runtime.onnx_cache import cached_temporal_graph
from hand_pose_ros.networks.temporal.onnx import GRAPH_INPUTS, hand_parameters
from hand_pose_ros.networks.temporal.window import HandWindow


class TemporalNetwork(Protocol):
    """Run-time interface of :class:`~hand_pose_ros.networks.temporal.transformer.TemporalTransformer`.

    window: maximum number of frames. device: where it takes windows and returns hands.
    """

    @property
    def window(self) -> int: ...  # noqa: D102

    @property
    def device(self) -> torch.device: ...  # noqa: D102

    def newest(self, window: HandWindow, proportions: Tensor) -> HandParameters:
        """The newest frame's hands, fields (n, 1, ...); see ``TemporalTransformer.forward``."""
        ...


def load_temporal_network(path: str | Path, backend: str = "auto", device: str = "auto") -> TemporalNetwork:
    """The network in a weight file, ready to run.

    Args:
        backend: see :func:`~hand_pose_ros.estimator.diffusion.backends.load_denoiser`; 'compiled' is
            'torch' here.
        device: one of :data:`~hand_pose_ros.common.device.DEVICES`.

    Raises:
        ValueError: no such backend or device, or the file is missing, damaged or of another network.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {BACKENDS}, got {backend!r}")
    if choose_backend(backend, device) == "onnxruntime":
        return OnnxTemporal(cached_temporal_graph(path), device)
    return load_network(path, TEMPORAL, device=resolve_device(device)).network


class OnnxTemporal:
    """A :class:`TemporalNetwork` run by onnxruntime."""

    def __init__(self, path: Path, device: str = "cpu") -> None:
        """Load the graph.

        Args:
            path: a file that ``export_temporal`` wrote, for a fixed number of frames.
            device: 'cpu', 'cuda', or 'auto' for CUDA where onnxruntime has it.

        Raises:
            ValueError: onnxruntime is not installed, lacks the CUDA that is asked for, or cannot use the file.
        """
        self._graph = OnnxGraph(path, device)
        self.device = self._graph.device
        self.window: int = self._graph.inputs["valid"][1]

    def newest(self, window: HandWindow, proportions: Tensor) -> HandParameters:
        """See :class:`TemporalNetwork`."""
        padded = each(lambda value: _padded(value, self.window), window)
        inputs = dict(zip(GRAPH_INPUTS, (*padded, proportions), strict=True))
        return hand_parameters(self._graph.run(inputs))


def _padded(value: Tensor, frames: int) -> Tensor:
    """(n, F, ...) with its first frame, or False, repeated before it, so that there are ``frames``."""
    missing = frames - value.shape[1]
    if not missing:
        return value
    filler = torch.zeros_like(value[:, :1]) if value.dtype == torch.bool else value[:, :1]
    return torch.cat((filler.expand(-1, missing, *value.shape[2:]), value), dim=1)
