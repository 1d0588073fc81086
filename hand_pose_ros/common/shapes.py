"""Checks of argument shapes with one wording for all functions, and the type of a NumPy array."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from torch import Size, Tensor, broadcast_shapes

Array = NDArray[Any]
"""A NumPy array of any element type; a function's docstring states the shape and type."""


def check_shape(name: str, value: Tensor, trailing: tuple[int, ...]) -> Size:
    """The leading shape (...) of ``value``.

    Raises:
        ValueError: the shape of ``value`` is not (..., *trailing).
    """
    leading = max(0, value.ndim - len(trailing))
    if tuple(value.shape[leading:]) != trailing:
        expected = ", ".join(("...", *map(str, trailing)))
        raise ValueError(f"{name} must have shape ({expected}), got {tuple(value.shape)}")
    return value.shape[:leading]


def check_shapes(*arguments: tuple[str, object, tuple[int, ...]]) -> Size:
    """The leading shape that all (name, value, trailing shape) broadcast to; only tensors are checked.

    Raises:
        ValueError: as :func:`check_shape`, or the leading shapes do not broadcast.
    """
    leading = [
        check_shape(name, value, trailing) for name, value, trailing in arguments if isinstance(value, Tensor)
    ]
    if leading and all(
        shape == leading[0] for shape in leading[1:]
    ):  # nearly always; PyTorch takes its time for the rest
        return leading[0]
    try:
        return broadcast_shapes(*leading)
    except RuntimeError as error:
        names = ", ".join(name for name, value, _ in arguments if isinstance(value, Tensor))
        raise ValueError(
            f"leading shapes of {names} do not broadcast: {', '.join(str(tuple(shape)) for shape in leading)}"
        ) from error
