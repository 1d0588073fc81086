"""The module loads the orientation network into a backend: PyTorch or onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from hand_pose_ros.common.device import BACKENDS, choose_backend, resolve_device
from hand_pose_ros.common.onnx_session import OnnxGraph
from hand_pose_ros.networks.orientation.network import OrientationNetwork, depths_from_raw
from hand_pose_ros.networks.registry import HAND_ORIENTATION, load_network
from hand_pose_ros.networks.runtime.onnx_cache import cached_orientation_graph


class RunnableOrientation(Protocol):
    """Run-time interface of the orientation network."""

    def depths(self, features: Tensor, sign: Tensor) -> Tensor:
        """The depths (n, 21) of ``OrientationNetwork.forward``, on the CPU."""
        ...


def load_orientation_network(
    path: str | Path, backend: str = "auto", device: str = "auto"
) -> RunnableOrientation:
    """Load the network in a weight file.

    Args:
        backend: see :func:`~hand_pose_ros.estimator.diffusion.backends.load_denoiser`; 'compiled' is 'torch' here.

    Raises:
        ValueError: no such backend or device, or the file is missing, damaged or of another network.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {BACKENDS}, got {backend!r}")
    if choose_backend(backend, device) == "onnxruntime":
        return OnnxOrientation(cached_orientation_graph(path), device)
    return TorchOrientation(load_network(path, HAND_ORIENTATION, device=resolve_device(device)).network)


class TorchOrientation:
    """A :class:`RunnableOrientation` that PyTorch runs."""

    def __init__(self, network: OrientationNetwork) -> None:
        self._network = network
        self._device = network.out.weight.device

    @torch.inference_mode()
    def depths(self, features: Tensor, sign: Tensor) -> Tensor:
        """See :class:`RunnableOrientation`."""
        raw = self._network.raw(features.to(self._device), sign.to(self._device))
        return depths_from_raw(raw.float())[0].cpu()


class OnnxOrientation:
    """A :class:`RunnableOrientation` that onnxruntime runs."""

    def __init__(self, path: Path, device: str = "cpu") -> None:
        """Load the graph that ``export_orientation`` wrote.

        Raises:
            ValueError: onnxruntime is not installed, lacks the CUDA that is asked for, or cannot use the file.
        """
        self._graph = OnnxGraph(path, device)

    @torch.inference_mode()
    def depths(self, features: Tensor, sign: Tensor) -> Tensor:
        """See :class:`RunnableOrientation`."""
        (raw,) = self._graph.run({"features": features, "sign": sign})
        return depths_from_raw(raw.float())[0].cpu()
