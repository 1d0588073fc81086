"""Opening ONNX graphs with onnxruntime and running them on tensors or arrays, on a CPU or on CUDA."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros.common.gpu_failure import GpuFailedError
from hand_pose_ros.common.onnxruntime_import import import_onnxruntime
from hand_pose_ros.common.shapes import Array

_CUDA: Final = "CUDAExecutionProvider"
_CPU: Final = "CPUExecutionProvider"
_DEVICE_INDEX: Final = 0  # CUDA_VISIBLE_DEVICES selects another GPU
_ON_CPU: Final = torch.device("cpu")
_GPU_ERRORS: Final = ("Fail", "RuntimeException", "EPFail", "EngineError", "DeviceReset")
"""Names of onnxruntime's exceptions of a run that a GPU may have caused; the others mean wrong inputs."""
_TYPES: Final[Mapping[str, type[Any]]] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}
_LOGGER = logging.getLogger(__name__)


class OnnxUnavailableError(ValueError):
    """onnxruntime is not installed, or cannot do what it was asked for; the message says how to get it."""


def why_no_onnx_cuda() -> str:
    """Return why onnxruntime cannot use a GPU here; empty if it can, as far as it says before it tries."""
    try:
        onnxruntime = import_onnxruntime()
    except ImportError as error:
        return f"onnxruntime cannot be imported ({error}): install onnxruntime-gpu"
    if _CUDA in onnxruntime.get_available_providers():
        return ""
    return "this onnxruntime has no CUDA: install onnxruntime-gpu in its place"


def open_session(path: str | Path, device: str, threads: int = 1) -> Any:
    """A session of onnxruntime for the graph in ``path``.

    Args:
        device: 'cpu', 'cuda', or 'auto' for CUDA where onnxruntime has it.
        threads: on the CPU; 0 for one per core.

    Raises:
        OnnxUnavailableError: onnxruntime is not installed, or has no CUDA or cannot start it although it was
            asked for.
        ValueError: there is no such file, or onnxruntime cannot use it.
    """
    try:
        onnxruntime = import_onnxruntime()
    except ImportError as error:
        raise OnnxUnavailableError(
            f"onnxruntime cannot be imported ({error}): install onnxruntime, or onnxruntime-gpu for CUDA"
        ) from error
    reason = why_no_onnx_cuda()
    if device == "cuda" and reason:
        raise OnnxUnavailableError(f"device is 'cuda', but {reason}")
    use_cuda = not reason and device != "cpu"
    if not Path(path).is_file():
        raise ValueError(f"there is no model file {path}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=[_CUDA, _CPU] if use_cuda else [_CPU]
        )
    except Exception as error:  # the runtime's exceptions have no other base in common
        raise ValueError(f"onnxruntime cannot use {path}: {error}") from error
    if use_cuda and _CUDA not in session.get_providers():  # onnxruntime itself goes on without it
        if device == "cuda":
            raise OnnxUnavailableError(
                "device is 'cuda', but onnxruntime could not start CUDA: its log names the missing library "
                "(CUDA, cuDNN) or driver"
            )
        _LOGGER.warning("CUDA could not be started (see onnxruntime's log): %s runs on the CPU", path)
    return session


class OnnxGraph:
    """A graph that onnxruntime runs. On CUDA its inputs and outputs are bound where they are, without copies.

    on_cuda: whether it runs on a GPU. device: of the tensors that :meth:`run` returns: CUDA if the graph and
    PyTorch both use it. inputs, outputs: name -> shape, in which a number of free size has a name or is None.
    """

    def __init__(self, path: str | Path, device: str = "cpu", threads: int = 1) -> None:
        """See :func:`open_session`."""
        self._session = open_session(path, device, threads)
        self.on_cuda = _CUDA in self._session.get_providers()
        shared = self.on_cuda and torch.cuda.is_available()
        self.device = torch.device("cuda", _DEVICE_INDEX) if shared else _ON_CPU
        self.inputs: dict[str, list[Any]] = {one.name: one.shape for one in self._session.get_inputs()}
        self.outputs: dict[str, list[Any]] = {one.name: one.shape for one in self._session.get_outputs()}
        self.input_types: dict[str, str] = {one.name: one.type for one in self._session.get_inputs()}
        self._output_types = {one.name: _TYPES.get(one.type) for one in self._session.get_outputs()}

    def run(self, inputs: Mapping[str, Tensor | Array]) -> list[Tensor]:
        """Run the graph on named tensors of any device, or arrays; return its outputs on ``device``.

        Raises:
            GpuFailedError: the GPU failed or is out of memory.
        """
        if self.device == _ON_CPU:
            return [torch.from_numpy(output) for output in self.run_arrays(inputs)]
        return self._run_bound(inputs, self.device)

    def run_arrays(self, inputs: Mapping[str, Tensor | Array]) -> list[Array]:
        """Run the graph on named arrays, or tensors of any device; return its outputs as arrays.

        Raises:
            GpuFailedError: the GPU failed or is out of memory.
        """
        if self.on_cuda:
            return [output.numpy() for output in self._run_bound(inputs, _ON_CPU)]
        arrays = {
            name: np.ascontiguousarray(value.numpy() if isinstance(value, Tensor) else value)
            for name, value in inputs.items()
        }
        return self._session.run(None, arrays)

    def _run_bound(self, inputs: Mapping[str, Tensor | Array], target: torch.device) -> list[Tensor]:
        """Run on CUDA; outputs are on ``target``, those of unknown size by way of the CPU."""
        binding = self._session.io_binding()
        kept: list[Tensor] = []  # alive while the graph runs
        for name, value in inputs.items():
            tensor = torch.as_tensor(value).to(self.device).contiguous()
            kept.append(tensor)
            if self.device == _ON_CPU:
                binding.bind_cpu_input(name, tensor.numpy())
            else:
                kind, shape = _numpy_type(tensor.dtype), tuple(tensor.shape)
                binding.bind_input(name, "cuda", _DEVICE_INDEX, kind, shape, tensor.data_ptr())
        sizes = self._sizes(inputs)
        in_place: dict[str, Tensor] = {}
        for name, shape in self.outputs.items():
            known: list[Any] = [sizes.get(size, size) for size in shape]
            kind = self._output_types[name]
            if target == _ON_CPU or kind is None or not all(isinstance(size, int) for size in known):
                binding.bind_output(name, "cpu")
                continue
            in_place[name] = torch.empty(known, dtype=_torch_type(kind), device=target)
            binding.bind_output(name, "cuda", _DEVICE_INDEX, kind, tuple(known), in_place[name].data_ptr())
        if self.device != _ON_CPU:
            torch.cuda.current_stream().synchronize()  # onnxruntime has a stream of its own
        try:
            self._session.run_with_iobinding(binding)
        except Exception as error:  # onnxruntime's exceptions have no other base in common
            if type(error).__name__ in _GPU_ERRORS:
                raise GpuFailedError(f"onnxruntime on CUDA: {error}") from error
            raise
        values = dict(zip(self.outputs, binding.get_outputs(), strict=True))
        return [
            in_place[name] if name in in_place else torch.from_numpy(values[name].numpy()).to(target)
            for name in self.outputs
        ]

    def _sizes(self, inputs: Mapping[str, Tensor | Array]) -> dict[Any, int]:
        """Name of a free size -> its size in ``inputs``."""
        return {
            size: given
            for name, value in inputs.items()
            for size, given in zip(self.inputs[name], value.shape, strict=True)
            if isinstance(size, str)
        }


def _numpy_type(dtype: torch.dtype) -> type[Any]:
    return torch.empty(0, dtype=dtype).numpy().dtype.type


def _torch_type(kind: type[Any]) -> torch.dtype:
    return torch.from_numpy(np.empty(0, kind)).dtype
