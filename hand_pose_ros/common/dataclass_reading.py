"""Conversion of plain YAML and JSON values into frozen dataclasses; every error names its key."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from hand_pose_ros.files.bounded_text import shortened, shown

Config = TypeVar("Config")
_MOST_WHOLE = 10**300  # whole numbers above do not fit a float


def read_dataclass(cls: type[Config], values: object, where: str = "") -> Config:
    """Build the dataclass ``cls``, and those inside it, from plain values of the types that its fields have.

    Args:
        where: the dotted key of ``values``, for messages.

    Raises:
        ValueError: an unknown or missing key, or a value of the wrong type or that ``cls`` refuses; names the key.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{where or 'the configuration'} must hold keys and values, got {values!r}")
    values = cast("Mapping[str, Any]", values)
    prefix = f"{where}." if where else ""
    known = {field.name: field for field in fields(cast("Any", cls))}
    if unknown := [f"{prefix}{key}" for key in values if key not in known]:
        raise ValueError(f"unknown key: {shortened(', '.join(unknown))}; known are {', '.join(known)}")
    needed = [f for f in known.values() if f.default is MISSING and f.default_factory is MISSING]
    if missing := [f"{prefix}{field.name}" for field in needed if field.name not in values]:
        raise ValueError(f"missing key: {', '.join(missing)}")
    hints = get_type_hints(cls)
    read = {key: _read(hints[key], value, f"{prefix}{key}") for key, value in values.items()}
    try:
        return cls(**read)
    except ValueError as error:
        starts_with_key = str(error).split(maxsplit=1)[0] in known
        raise ValueError(f"{prefix if starts_with_key else where + ': ' * bool(where)}{error}") from error


def _read(hint: Any, value: Any, key: str) -> Any:
    """``value`` as the type ``hint`` says."""
    if is_dataclass(hint):
        return read_dataclass(cast("type[Any]", hint), {} if value is None else value, key)
    arguments = get_args(hint)
    if NoneType in arguments:
        return None if value is None else _read(next(a for a in arguments if a is not NoneType), value, key)
    kind = get_origin(hint) or hint
    if kind is tuple and isinstance(value, list | tuple):
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(kinds) != len(value):
            raise ValueError(f"{key} must hold {len(kinds)} values, got {shown(value)}")
        return tuple(_read(k, v, f"{key}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))
    if kind is float and type(value) is int:
        value = float(value) if abs(value) < _MOST_WHOLE else math.inf
    matches = isinstance(value, kind) and (isinstance(value, bool) == (kind is bool))
    if not matches or (kind is float and not math.isfinite(value)):
        raise ValueError(f"{key} must be {_NAMES.get(kind, kind.__name__)}, got {shown(value)}")
    return value


_NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "a text",
    tuple: "a list",
    Mapping: "a section of keys and values",
}
