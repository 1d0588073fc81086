"""Where and with how many bits a network is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "fp32", "bf16")


def resolve_device(name: str) -> torch.device:
    """The device for one of :data:`DEVICES`; 'auto' is the GPU if there is one.

    Raises:
        ValueError: 'cuda' without a usable GPU.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ValueError("device is 'cuda', but PyTorch finds no CUDA GPU here: use 'cpu' or 'auto'")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """The context that a training step runs in, for one of :data:`PRECISIONS`.

    'auto' is bf16 on a GPU that computes with it, and fp32 elsewhere: most CPUs only lose by bf16. bf16 has the
    range of fp32, so losses need no scaling.
    """
    if precision == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        precision = "bf16" if fast else "fp32"
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


@contextmanager
def full_precision() -> Iterator[None]:
    """Switch autocast off in a block, or in a function that this decorates: for geometry and the making of data.

    What comes from a network outside of the block may still have 16 bits: convert it with ``.float()``.
    """
    device = "cuda" if torch.is_autocast_enabled("cuda") else "cpu"
    with torch.autocast(device, enabled=False):
        yield
