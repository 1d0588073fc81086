"""The module loads a hand detector into a backend: PyTorch or onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from hand_pose_ros.common.device import BACKENDS, choose_backend, resolve_device
from hand_pose_ros.common.onnx_session import OnnxGraph
from hand_pose_ros.networks.hand_detector.config import HandDetectorConfig
from hand_pose_ros.networks.hand_detector.network import DetectorMaps, HandDetector
from hand_pose_ros.networks.hand_detector.onnx import GRAPH_INPUTS
from hand_pose_ros.networks.heatmap.network import network_images
from hand_pose_ros.networks.registry import HAND_DETECTOR, load_network
from hand_pose_ros.networks.runtime.onnx_cache import cached_detector_graph
from hand_pose_ros.networks.weights import load_weights


class RunnableDetector(Protocol):
    """Run-time interface of a hand detector.

    image_size: pixels along a side of its input.
    """

    image_size: int

    def run(self, image_bgr: np.ndarray) -> list[np.ndarray]:
        """Return the fields of :class:`DetectorMaps`, without the first axis, of an image (s, s, 3) uint8 BGR."""
        ...


def load_hand_detector(
    path: str | Path, backend: str = "auto", device: str = "auto", threads: int = 1
) -> RunnableDetector:
    """Load the network in a weight file.

    Args:
        backend: 'onnxruntime', 'torch', or 'auto'; 'compiled' is 'torch' here. threads: of onnxruntime on the
        CPU; 0
            for one per core.

    Raises:
        ValueError: no such backend or device, or the file is missing, damaged or of another network.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {BACKENDS}, got {backend!r}")
    if choose_backend(backend, device) == "onnxruntime":
        graph = OnnxGraph(cached_detector_graph(path), device, threads)
        config = HandDetectorConfig.from_dict(load_weights(path, HAND_DETECTOR).config)
        return OnnxDetectorMaps(config.image_size, graph)
    return TorchDetectorMaps(load_network(path, HAND_DETECTOR, device=resolve_device(device)).network)


class TorchDetectorMaps:
    """A :class:`RunnableDetector` that PyTorch runs."""

    def __init__(self, network: HandDetector) -> None:
        self.image_size = network.config.image_size
        self._network = network
        self._device = next(network.parameters()).device

    @torch.inference_mode()
    def run(self, image_bgr: np.ndarray) -> list[np.ndarray]:
        """See :class:`RunnableDetector`."""
        maps: DetectorMaps = self._network(network_images(image_bgr[None], self._device))
        return [one[0].float().cpu().numpy() for one in maps]


class OnnxDetectorMaps:
    """A :class:`RunnableDetector` that onnxruntime runs."""

    def __init__(self, image_size: int, graph: OnnxGraph) -> None:
        self.image_size = image_size
        self._graph = graph

    @torch.inference_mode()
    def run(self, image_bgr: np.ndarray) -> list[np.ndarray]:
        """See :class:`RunnableDetector`."""
        images = network_images(image_bgr[None]).contiguous()
        return [one[0] for one in self._graph.run_arrays({GRAPH_INPUTS[0]: images})]
