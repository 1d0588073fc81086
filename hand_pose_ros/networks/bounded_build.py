"""Building of a network whose configuration comes from a file, hardly larger than the tensors in that file."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from torch import Tensor, nn
from torch.nn.modules import module as registration

_USUAL_TENSORS: Final = 1000
_USUAL_VALUES: Final = 30_000_000


def build_bounded(build: Callable[[], nn.Module], tensors: Mapping[str, Tensor]) -> nn.Module:
    """Call ``build``, which makes a network that ``tensors`` shall fill.

    Building ends at the first parameter that makes it twice as large as they are, before it takes memory: a
    configuration of a billion channels or layers costs nothing. A network of usual size is always built, so that
    the tensors that do not fit can be named.

    Raises:
        ValueError: the network is far larger than the tensors, or cannot be built.
    """
    try:
        stored = sum(one.numel() for one in tensors.values())
        with _at_most(max(2 * len(tensors), _USUAL_TENSORS), max(2 * stored, _USUAL_VALUES)):
            return build()
    except (RuntimeError, TypeError, IndexError, ZeroDivisionError, OverflowError, MemoryError) as error:
        raise ValueError(f"no network can be built with this configuration: {error}") from error


@contextmanager
def _at_most(most_tensors: int, most_values: int) -> Generator[None, None, None]:
    """Within the block, modules that this thread makes may register so many parameters and buffers."""
    thread, tensors, values = threading.get_ident(), 0, 0

    def count(module: nn.Module, name: str, value: Any) -> None:
        nonlocal tensors, values
        if threading.get_ident() != thread or value is None:
            return
        tensors, values = tensors + 1, values + value.numel()
        if tensors > most_tensors or values > most_values:
            what = f"{name!r} {tuple(value.shape)} of a {type(module).__name__}"
            raise ValueError(f"the configuration asks for a larger network than the file holds, at {what}")

    handles = (
        registration.register_module_parameter_registration_hook(count),
        registration.register_module_buffer_registration_hook(count),
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
