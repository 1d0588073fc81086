"""The devices and backends that run networks, and the choice of both on this machine."""

from __future__ import annotations

from typing import Final

import torch

from hand_pose_ros.common.onnx_session import why_no_onnx_cuda

DEVICES: Final = ("auto", "cpu", "cuda")
BACKENDS: Final = ("auto", "torch", "compiled", "onnxruntime")
"""The backends that run a network. All read a weight file (.safetensors); 'onnxruntime' also a folder of
``hand_pose export-onnx``. 'auto': see :func:`choose_backend`."""
UNCOMPILED_BACKENDS: Final = ("auto", "torch", "onnxruntime")
"""Those of networks that torch.compile does not make faster."""


def why_no_torch_cuda() -> str:
    """Return why PyTorch cannot use a GPU here; empty if it can."""
    if torch.cuda.is_available():
        return ""
    if torch.version.cuda is None:
        return f"this PyTorch ({torch.__version__}) was built without CUDA: install a build with it"
    return f"PyTorch ({torch.__version__}) finds no CUDA GPU: is there one, and is its driver installed?"


def resolve_device(name: str) -> torch.device:
    """The device of PyTorch for one of :data:`DEVICES`; 'auto' is the GPU if there is one.

    Raises:
        ValueError: 'cuda' without a usable GPU; the message says why.
    """
    reason = why_no_torch_cuda()
    if name == "cuda" and reason:
        raise ValueError(f"device is 'cuda', but {reason}")
    return torch.device("cpu" if reason or name == "cpu" else "cuda")


def choose_backend(backend: str, device: str) -> str:
    """The backend for one of :data:`BACKENDS` on one of :data:`DEVICES`.

    'auto' is 'torch' where PyTorch can use the GPU. Elsewhere it is 'onnxruntime', which is faster on a CPU, and
    which is the one that can use the GPU if onnxruntime-gpu is installed beside a PyTorch without CUDA.
    """
    if backend != "auto":
        return backend
    return "onnxruntime" if device == "cpu" or why_no_torch_cuda() else "torch"


def has_cuda() -> bool:
    """Return whether PyTorch or onnxruntime can use a GPU, as far as they say before they try."""
    return not (why_no_torch_cuda() and why_no_onnx_cuda())


def check_device(name: str) -> None:
    """Raise ValueError if 'cuda' is asked for and neither PyTorch nor onnxruntime can use a GPU, saying why."""
    if name == "cuda" and not has_cuda():
        reasons = f"{why_no_torch_cuda()}; {why_no_onnx_cuda()}"
        raise ValueError(f"device is 'cuda', but {reasons}. Or set device to 'cpu' or 'auto'")
