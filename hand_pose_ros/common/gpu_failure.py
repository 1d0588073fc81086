"""The module recognises errors that a GPU raises at run time: out of memory, or a device that was lost."""

from __future__ import annotations

from typing import Final

import torch

_TORCH_ERRORS: Final = ("CUDA error", "CUDA out of memory", "cuDNN error", "CUBLAS_STATUS", "cuBLAS error")
"""Beginnings of messages of plain RuntimeErrors, which PyTorch raises where it has no class of its own."""


class GpuFailedError(RuntimeError):
    """onnxruntime could not run a graph on the GPU."""


def why_gpu_failed(error: BaseException) -> str:
    """Return what happened to the GPU in a few words; empty if the error has nothing to do with a GPU."""
    if isinstance(error, torch.OutOfMemoryError):
        return f"the GPU is out of memory ({_first_line(error)})"
    # PyTorch 2.6 and 2.7 have no such class and raise a plain RuntimeError.
    lost = getattr(torch, "AcceleratorError", GpuFailedError)
    plain = isinstance(error, RuntimeError) and str(error).startswith(_TORCH_ERRORS)
    if plain or isinstance(error, GpuFailedError | lost):
        return f"the GPU failed ({_first_line(error)})"
    return ""


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
