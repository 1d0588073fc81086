"""Node parameters as one frozen dataclass: declared with description and range, validated whenever it is made."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter


@dataclass(frozen=True)
class Spec:
    """What is known of a parameter beside its name, type and default.

    minimum, maximum: inclusive; None for unbounded.
    choices: the only values allowed; empty for any.
    read_only: it can be set at start only.
    """

    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    read_only: bool = False


def parameter(default: Any, description: str, **spec: Any) -> Any:
    """A dataclass field that is a node parameter; the further arguments are those of :class:`Spec`."""
    return dataclasses.field(default=default, metadata={"spec": Spec(description, **spec)})


@dataclass(frozen=True)
class NodeParameters:
    """Base of a node's parameters: a frozen dataclass whose fields are made by :func:`parameter`.

    Raises:
        ValueError: a value has the wrong type, lies out of its range or is none of the choices.
    """

    def __post_init__(self) -> None:
        types = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value = _converted(field.name, getattr(self, field.name), types[field.name])
            _check(field.name, value, field.metadata["spec"])
            object.__setattr__(self, field.name, value)


Parameters = TypeVar("Parameters", bound=NodeParameters)


def declare(node: Node, parameters: type[Parameters]) -> Parameters:
    """Declare every field as a parameter of the node, and return the values that the user gave, or the defaults.

    Raises:
        ValueError: a value is not allowed; the message says which, and what is.
    """
    values = {}
    for field in dataclasses.fields(parameters):
        value = node.declare_parameter(field.name, field.default, _descriptor(field)).value
        values[field.name] = field.default if value is None else value
    return parameters(**values)


def changed(current: Parameters, changes: Iterable[Parameter]) -> Parameters:
    """The parameters after a change; changes of other parameters (``use_sim_time`` ...) are left out.

    Raises:
        ValueError: the change is not allowed; the message says why.
    """
    specs = {field.name: field.metadata["spec"] for field in dataclasses.fields(current)}
    ours = [change for change in changes if change.name in specs]
    for change in ours:
        if specs[change.name].read_only:
            raise ValueError(f"{change.name} can only be set when the node starts")
    return dataclasses.replace(current, **{change.name: change.value for change in ours})


def table(parameters: type[NodeParameters]) -> str:
    """The parameters as a Markdown table, for the documentation."""
    lines = ["| parameter | default | range | description |", "|---|---|---|---|"]
    for field in dataclasses.fields(parameters):
        spec = field.metadata["spec"]
        default = f"`{field.default}`" if field.default != "" else "empty"
        note = " Only at start." if spec.read_only else ""
        lines.append(f"| `{field.name}` | {default} | {_range_text(spec)} | {spec.description}{note} |")
    return "\n".join(lines) + "\n"


def _range_text(spec: Spec) -> str:
    if spec.choices:
        return ", ".join(f"`{choice}`" for choice in spec.choices)
    if spec.minimum is None and spec.maximum is None:
        return ""
    low, high = ("" if limit is None else f"{limit:g}" for limit in (spec.minimum, spec.maximum))
    return f"{low} ... {high}".strip()


def _descriptor(field: dataclasses.Field) -> ParameterDescriptor:
    spec = field.metadata["spec"]
    descriptor = ParameterDescriptor(
        description=spec.description,
        additional_constraints=f"one of {', '.join(spec.choices)}" if spec.choices else "",
        # `rate_hz: 0` and `source: 0` are integers to ROS, which would refuse them; _converted takes them.
        dynamic_typing=isinstance(field.default, float | str),
    )
    low = -math.inf if spec.minimum is None else spec.minimum
    high = math.inf if spec.maximum is None else spec.maximum
    if (low, high) != (-math.inf, math.inf):
        if isinstance(field.default, float):
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(low), to_value=float(high))
            ]
        else:
            low, high = max(low, -(2**63)), min(high, 2**63 - 1)
            descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=1)]
    return descriptor


def _converted(name: str, value: Any, expected: type) -> Any:
    """``value`` as the expected type, where nothing is lost by it."""
    if isinstance(value, int) and not isinstance(value, bool) and expected in (float, str):
        return expected(value)
    if type(value) is not expected:
        raise ValueError(f"{name} must be a {expected.__name__}, got {value!r}")
    return value


def _check(name: str, value: Any, spec: Spec) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")
    if spec.minimum is not None and value < spec.minimum:
        raise ValueError(f"{name} must be at least {spec.minimum:g}, got {value}")
    if spec.maximum is not None and value > spec.maximum:
        raise ValueError(f"{name} must be at most {spec.maximum:g}, got {value}")
    if spec.choices and value not in spec.choices:
        raise ValueError(f"{name} must be one of {', '.join(spec.choices)}, got {value!r}")
