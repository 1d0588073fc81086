"""The devices and backends that run networks, and the choice of a device on this machine."""

from __future__ import annotations

from typing import Final

import torch

DEVICES: Final = ("auto", "cpu", "cuda")
BACKENDS: Final = ("auto", "torch", "compiled", "onnxruntime")
"""The backends that run a network. All read a weight file (.safetensors); 'onnxruntime' also a folder of
``hand_pose export-onnx``. 'auto' is 'torch' on CUDA and 'onnxruntime', which is faster there, on a CPU."""


def resolve_device(name: str) -> torch.device:
    """The device for one of :data:`DEVICES`; 'auto' is the GPU if there is one.

    Raises:
        ValueError: 'cuda' without a usable GPU.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ValueError("device is 'cuda', but PyTorch finds no CUDA GPU here: use 'cpu' or 'auto'")
    return torch.device("cuda" if available and name != "cpu" else "cpu")
