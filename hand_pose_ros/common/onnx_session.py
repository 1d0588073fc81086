"""Opening ONNX graphs with onnxruntime and running them on tensors."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros.common.onnxruntime_import import import_onnxruntime

_CUDA: Final = "CUDAExecutionProvider"
_CPU: Final = "CPUExecutionProvider"
_LOGGER = logging.getLogger(__name__)


class OnnxUnavailableError(ValueError):
    """onnxruntime is not installed, or cannot do what it was asked for; the message says how to get it."""


def open_session(path: str | Path, device: str, threads: int = 1) -> Any:
    """A session of onnxruntime for the graph in ``path``.

    Args:
        device: 'cpu', 'cuda', or 'auto' for CUDA where onnxruntime has it.
        threads: on the CPU; 0 for one per core.

    Raises:
        OnnxUnavailableError: onnxruntime is not installed, or has no CUDA although it was asked for.
        ValueError: there is no such file, or onnxruntime cannot use it.
    """
    try:
        onnxruntime = import_onnxruntime()
    except ImportError as error:
        raise OnnxUnavailableError(
            f"onnxruntime cannot be imported ({error}): install onnxruntime, or onnxruntime-gpu for CUDA"
        ) from error
    has_cuda = _CUDA in onnxruntime.get_available_providers()
    if device == "cuda" and not has_cuda:
        raise OnnxUnavailableError("this onnxruntime has no CUDA: install onnxruntime-gpu in its place")
    use_cuda = has_cuda and device != "cpu"
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
        _LOGGER.warning("CUDA could not be started (see onnxruntime's log): %s runs on the CPU", path)
    return session


def run_session(session: Any, inputs: Mapping[str, Tensor]) -> list[Tensor]:
    """Run the graph on named CPU tensors and return its outputs."""
    arrays = {name: np.ascontiguousarray(value.numpy()) for name, value in inputs.items()}
    return [torch.from_numpy(output) for output in session.run(None, arrays)]
