"""Options as node parameters: declared with description and range, read into a frozen dataclass."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from hand_pose_ros.common.options import AnyOptions, Leaf, leaves


def declare(node: Node, kind: type[AnyOptions]) -> AnyOptions:
    """Declare every option as a parameter of the node, and return the values that the user gave, or the defaults.

    Raises:
        ValueError: a value is not allowed; the message says which, and what is.
    """
    values = {}
    for leaf in leaves(kind):
        value = _plain(node.declare_parameter(leaf.name, leaf.default, _descriptor(leaf)).value)
        values[leaf.name] = leaf.default if value is None else value
    for name in unknown_overrides(node):
        likely = get_close_matches(name, values, 1) or get_close_matches(
            name.rpartition(".")[2], [one.rpartition(".")[2] for one in values], 1
        )
        meant = next((one for one in values if likely and one.endswith(likely[0])), "")
        node.get_logger().warning(
            f"there is no parameter {name[:100]!r}: its value is not used"
            + (f"; did you mean {meant!r}?" if meant else "")
        )
    return kind.from_flat(values)


def unknown_overrides(node: Node) -> list[str]:
    """Names of parameters that were given at start, by a file or an argument, but that the node does not have."""
    given = getattr(node, "_parameter_overrides", {})  # rclpy has no public way to them
    return sorted(
        name for name in given if not node.has_parameter(name) and not name.startswith(("qos_overrides.",))
    )


def changed(
    current: AnyOptions, changes: Iterable[Parameter], unconfigured: bool | None = None
) -> AnyOptions:
    """The options after a change; changes of other parameters (``use_sim_time`` ...) are left out.

    Args:
        unconfigured: whether the node is a lifecycle node that has not read its options yet: then all may change.
            None for other nodes.

    Raises:
        ValueError: the change is not allowed; the message says why.
    """
    specs = {leaf.name: leaf.spec for leaf in leaves(type(current))}
    ours = {change.name: _plain(change.value) for change in changes if change.name in specs}
    for name in ours:
        if specs[name].read_only and not unconfigured:
            or_when = "" if unconfigured is None else " or while it is unconfigured"
            raise ValueError(f"{name} can only be set when the node starts{or_when}")
    return type(current).from_flat(current.flat() | ours)


def _descriptor(leaf: Leaf) -> ParameterDescriptor:
    spec = leaf.spec
    descriptor = ParameterDescriptor(
        description=spec.description,
        additional_constraints=f"one of {', '.join(spec.choices)}" if spec.choices else "",
        # `rate_hz: 0` and `source: 0` are integers to ROS, which would refuse them; Options takes them.
        dynamic_typing=isinstance(leaf.default, float | str | list),
    )
    lows = [limit for limit in (spec.minimum, spec.unset) if limit is not None]
    low = -math.inf if spec.minimum is None else min(lows)
    high = math.inf if spec.maximum is None else spec.maximum
    if (low, high) != (-math.inf, math.inf):
        if isinstance(leaf.default, float):
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(low), to_value=float(high))
            ]
        elif isinstance(leaf.default, int):
            low, high = max(low, -(2**63)), min(high, 2**63 - 1)
            descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=1)]
    return descriptor


def _plain(value: Any) -> Any:
    """The value with a list in place of an array, in which rclpy keeps several numbers."""
    return value.tolist() if isinstance(value, array) else value
