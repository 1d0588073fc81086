"""The module runs the network of a TFLite file on one image at a time, by LiteRT, onnxruntime, or PyTorch."""

from __future__ import annotations

import hashlib
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import torch

from hand_pose_ros.common.device import DEVICES, choose_backend, resolve_device
from hand_pose_ros.common.onnx_session import OnnxGraph
from hand_pose_ros.files.user_cache import made_once
from hand_pose_ros.networks.imported.network import ImportedNetwork, import_network
from hand_pose_ros.networks.onnx_graph import export_graph

IMPORTED_BACKENDS: Final = ("auto", "litert", "onnxruntime", "torch")
"""What can run a TFLite file's network: LiteRT on the file itself, the others on the imported network."""
_LITERT: Final = "ai_edge_litert"
_MOST_THREADS: Final = 4
_GRAPH_FILE: Final = "network.onnx"
_GRAPH_VERSION: Final = 1


class ImageNetwork(Protocol):
    """A network with one square image as its input. For one thread at a time.

    input_side_px: height and width of the image.
    """

    @property
    def input_side_px(self) -> int: ...  # noqa: D102

    def run(self, image: np.ndarray) -> list[np.ndarray]:
        """The outputs in the order of their names, for an image (side, side, 3) float32 RGB in [0, 1]."""
        ...


def open_tflite(
    content: bytes, backend: str = "auto", device: str = "auto", threads: int = 0
) -> ImageNetwork:
    """Open the network in the content of a TFLite file.

    Args:
        backend: one of ``IMPORTED_BACKENDS``. 'auto' is 'torch' on CUDA. On a CPU it is LiteRT where that is
            installed, since it is the fastest there, and otherwise 'onnxruntime'.
        device: 'cpu', 'cuda', or 'auto' for CUDA where the backend has it. LiteRT runs on the CPU only.
        threads: of the CPU; 0 for half of the cores, at most four. PyTorch's number of threads is not changed.

    Raises:
        ValueError: an unknown backend or device, the device is not available, or not a usable network.
        ImportError: the backend is not installed.
    """
    if backend not in IMPORTED_BACKENDS:
        raise ValueError(f"backend must be one of {IMPORTED_BACKENDS}, got {backend!r}")
    if device not in DEVICES:
        raise ValueError(f"device must be one of {DEVICES}, got {device!r}")
    if backend == "auto":
        backend = choose_backend("auto", device)
        if backend == "onnxruntime" and device != "cuda" and find_spec(_LITERT):
            backend = "litert"
    threads = threads or min(max((os.cpu_count() or 1) // 2, 1), _MOST_THREADS)
    if backend == "litert":
        if device == "cuda":
            raise ValueError(
                "LiteRT runs on the CPU only: device 'cuda' needs the backend 'torch' or 'onnxruntime'"
            )
        return LiteRtNetwork(content, threads)
    if backend == "onnxruntime":
        return OnnxImageNetwork(exported_tflite(content), device, threads)
    return TorchImageNetwork(import_network(content), resolve_device(device))


class LiteRtNetwork:
    """An :class:`ImageNetwork` that LiteRT runs on the CPU from the file itself."""

    def __init__(self, content: bytes, threads: int = 1) -> None:
        """Load the network.

        Raises:
            ImportError: LiteRT is not installed. ValueError: not a network with one square colour image as input.
        """
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise ImportError(
                f"LiteRT cannot be imported ({error}): install ai-edge-litert, or use the backend 'onnxruntime'"
            ) from error
        self._interpreter = Interpreter(model_content=content, num_threads=threads)
        self._interpreter.allocate_tensors()
        (one,) = self._interpreter.get_input_details()
        self._input = one["index"]
        self._outputs = [
            detail["index"]
            for detail in sorted(self._interpreter.get_output_details(), key=lambda detail: detail["name"])
        ]
        self.input_side_px = _square_side(tuple(int(size) for size in one["shape"][1:3]))

    def run(self, image: np.ndarray) -> list[np.ndarray]:
        """See :class:`ImageNetwork`."""
        self._interpreter.set_tensor(self._input, image[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index)[0] for index in self._outputs]


class OnnxImageNetwork:
    """An :class:`ImageNetwork` that onnxruntime runs on a CPU or, with onnxruntime-gpu, on CUDA."""

    def __init__(self, path: Path, device: str = "auto", threads: int = 1) -> None:
        """``path``: as :func:`exported_tflite` returns it.

        Raises:
            ValueError: onnxruntime is not installed, lacks the CUDA that is asked for, or cannot use the file.
        """
        self._graph = OnnxGraph(path, device, threads)
        ((self._name, shape),) = self._graph.inputs.items()
        self.input_side_px = _square_side(tuple(shape[2:]))

    def run(self, image: np.ndarray) -> list[np.ndarray]:
        """See :class:`ImageNetwork`."""
        images = np.ascontiguousarray(image.transpose(2, 0, 1))[None]
        return [output[0] for output in self._graph.run_arrays({self._name: images})]


class TorchImageNetwork:
    """An :class:`ImageNetwork` that PyTorch runs."""

    def __init__(self, network: ImportedNetwork, device: torch.device) -> None:
        self._network = network.eval().requires_grad_(False).to(device)
        self._device = device
        self.input_side_px = _square_side(network.input_size)

    @torch.inference_mode()
    def run(self, image: np.ndarray) -> list[np.ndarray]:
        """See :class:`ImageNetwork`."""
        images = torch.from_numpy(image).to(self._device).permute(2, 0, 1)[None]
        return [output[0].cpu().numpy() for output in self._network(images)]


def exported_tflite(content: bytes) -> Path:
    """Return the ONNX file of a TFLite file's network, exported on first use (under a second) into the cache.

    The input is (count, 3, side, side), RGB in [0, 1]; the outputs are the file's in the order of their names.

    Raises:
        ValueError: not a TFLite file, or one that cannot be imported. ImportError: ``tflite`` is not installed.
    """

    def export(folder: Path) -> None:
        network = import_network(content)
        with torch.no_grad():
            example = torch.zeros(
                2, 3, *network.input_size
            )  # not 1, which the tracer might treat as a constant
            outputs = [f"output_{index}" for index in range(len(network(example)))]
        export_graph(network, {"images": example}, outputs, folder / _GRAPH_FILE)

    digest = hashlib.sha256(content).hexdigest()
    inputs = {"tflite": digest, "version": str(_GRAPH_VERSION), "torch": torch.__version__}
    name = f"tflite-{digest[:16]}-v{_GRAPH_VERSION}-torch{torch.__version__}"
    return made_once(name, inputs, export) / _GRAPH_FILE


def _square_side(size: tuple[int, ...]) -> int:
    if len(set(size)) != 1 or not isinstance(size[0], int):
        raise ValueError(f"the network's input must be a square image, it is {size}")
    return size[0]
