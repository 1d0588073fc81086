"""The check that public functions make of their arguments' shapes, with one wording for all of them."""

from __future__ import annotations

from torch import Size, Tensor, broadcast_shapes


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
    """The leading shape that all (name, value, trailing shape) broadcast to; what is no tensor fits everywhere.

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
