"""The module selects the floating-point precision of training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

PRECISIONS = ("auto", "fp32", "bf16")


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Return the context of a training step for one of :data:`PRECISIONS`.

    'auto' is bf16 on a GPU that supports it, and fp32 elsewhere: bf16 is slower on most CPUs. bf16 has the range
    of fp32, so losses need no scaling.
    """
    if precision == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        precision = "bf16" if fast else "fp32"
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


@contextmanager
def full_precision() -> Iterator[None]:
    """Switch autocast off in a block or a decorated function, for geometry and the generation of data.

    Outputs of a network from outside the block may still have 16 bits: convert them with ``.float()``.
    """
    device = "cuda" if torch.is_autocast_enabled("cuda") else "cpu"
    with torch.autocast(device, enabled=False):
        yield
