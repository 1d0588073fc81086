"""Parameters as a dataclass: what is taken, what is refused and why, and the table for the documentation."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from rclpy.parameter import Parameter

from hand_pose_ros.ros.shared.parameters import NodeParameters, changed, declare, parameter, table


@dataclass(frozen=True)
class Example(NodeParameters):
    rate_hz: float = parameter(30.0, "How often.", minimum=0.0, maximum=100.0)
    count: int = parameter(2, "How many.", minimum=1)
    mode: str = parameter("fast", "How.", choices=("fast", "good"))
    model: str = parameter("", "Which.", read_only=True)
    active: bool = parameter(True, "Whether.")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("rate_hz", 101.0, "rate_hz must be at most 100, got 101.0"),
        ("rate_hz", -1, "rate_hz must be at least 0"),
        ("rate_hz", float("nan"), "rate_hz must be finite"),
        ("rate_hz", "quick", "rate_hz must be a float, got 'quick'"),
        ("count", 0, "count must be at least 1"),
        ("count", 1.5, "count must be a int, got 1.5"),
        ("count", True, "count must be a int, got True"),
        ("mode", "slow", "mode must be one of fast, good, got 'slow'"),
        ("active", 1, "active must be a bool, got 1"),
    ],
)
def test_what_is_refused_and_why(name, value, reason):
    with pytest.raises(ValueError, match=reason):
        Example(**{name: value})
    if name != "active":
        with pytest.raises(ValueError, match=reason):
            changed(Example(), [Parameter(name, value=value)])


def test_integers_stand_for_floats_and_text():
    example = Example(rate_hz=5, model=0)
    assert (example.rate_hz, example.model) == (5.0, "0")
    assert isinstance(example.rate_hz, float)


def test_a_change_touches_what_it_names_and_leaves_what_is_not_ours():
    changes = [Parameter("count", value=7), Parameter("use_sim_time", value=True)]
    assert changed(Example(mode="good"), changes) == Example(mode="good", count=7)
    with pytest.raises(ValueError, match="model can only be set when the node starts"):
        changed(Example(), [Parameter("model", value="b")])


def test_declared_parameters_carry_description_and_range(listener):
    assert declare(listener.node, Example) == Example()
    described = listener.node.describe_parameters(["rate_hz", "count", "mode"])
    assert [d.description for d in described] == ["How often.", "How many.", "How."]
    (rate,) = described[0].floating_point_range
    assert (rate.from_value, rate.to_value) == (0.0, 100.0)
    assert described[1].integer_range[0].from_value == 1
    assert described[2].additional_constraints == "one of fast, good"


def test_the_table_says_everything():
    assert table(Example).splitlines() == [
        "| parameter | default | range | description |",
        "|---|---|---|---|",
        "| `rate_hz` | `30.0` | 0 ... 100 | How often. |",
        "| `count` | `2` | 1 ... | How many. |",
        "| `mode` | `fast` | `fast`, `good` | How. |",
        "| `model` | empty |  | Which. Only at start. |",
        "| `active` | `True` |  | Whether. |",
    ]
