"""Operations on every field of named tuples whose fields are tensors, arrays, or again such tuples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

Named = TypeVar("Named", bound="tuple[Any, ...]")


def each(function: Callable[[Any], Any], value: Named) -> Named:
    """Return the tuple with ``function`` applied to each tensor or array in ``value``."""
    return _each(function, value)


def rows(value: Named, index: Any) -> Named:
    """Return ``field[index]`` of every field; ``index`` is anything that selects along the first axes."""
    return each(lambda field: field[index], value)


def to(value: Named, place: torch.device | torch.dtype | Tensor) -> Named:
    """Return the tensors with another device or type, or with those of the tensor ``place``."""
    return each(lambda field: field.to(place), value)


def cat(values: Sequence[Named]) -> Named:
    """Join the rows of tuples of the same type, one after the other.

    Raises:
        ValueError: ``values`` is empty.
    """
    return _joined(values, torch.cat, np.concatenate)


def stack(values: Sequence[Named]) -> Named:
    """Stack tuples of the same type along a new first axis; numbers become arrays.

    Raises:
        ValueError: ``values`` is empty.
    """
    return _joined(values, torch.stack, np.stack)


def _each(function: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, tuple):
        return cast("Any", value)._make(_each(function, field) for field in value)
    return function(value)


def _joined(values: Sequence[Any], tensors: Callable[..., Any], arrays: Callable[..., Any]) -> Any:
    if not values:
        raise ValueError("there must be at least one part")
    first = values[0]
    if isinstance(first, tuple):
        parts = (_joined(fields, tensors, arrays) for fields in zip(*values, strict=True))
        return cast("Any", first)._make(parts)
    return tensors(values) if isinstance(first, Tensor) else arrays(values)
