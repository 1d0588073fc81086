"""With how many bits a network is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

PRECISIONS = ("auto", "fp32", "bf16")


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
