"""Options: what is taken, what is refused and why, flat names, and the documents that derive from them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import yaml

from hand_pose_ros.common.option_documents import help_text, table, yaml_text
from hand_pose_ros.common.options import Options, leaves, one_of, option, section


@dataclass(frozen=True)
class Slow(Options):
    steps: int | None = option(None, "Steps.", minimum=1, maximum=9, unset=0)
    scale: float = 1.0


@dataclass(frozen=True)
class Fast(Options):
    weights: tuple[float, float] = option((0.5, 0.5), "Weights.", minimum=0.0)


@dataclass(frozen=True)
class Timing(Options):
    rate_hz: float = option(30.0, "How often.", minimum=0.0, maximum=100.0)
    source: str = option("", "Where from.", read_only=True)


@dataclass(frozen=True)
class Example(Options):
    count: int = option(2, "How many.", minimum=1)
    method: Slow | Fast = one_of({"slow": Slow, "fast": Fast}, "slow", "How.")
    timing: Timing = section(Timing, "timing")
    inline: Timing = section(Timing, read_only=True)
    active: bool = option(True, "Whether.")
    mode: str = option("good", "Mode.", choices=("good", "bad"))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"timing.rate_hz": 101.0}, "timing.rate_hz must be at most 100, got 101.0"),
        ({"rate_hz": -1}, "^rate_hz must be at least 0"),
        ({"rate_hz": float("nan")}, "rate_hz must be finite"),
        ({"rate_hz": "quick"}, "rate_hz must be a float, got 'quick'"),
        ({"count": 0}, "count must be at least 1"),
        ({"count": 1.5}, "count must be a int, got 1.5"),
        ({"count": True}, "count must be a int, got True"),
        ({"count": None}, "count must be a int, got None"),
        ({"mode": "ugly"}, "mode must be one of good, bad, got 'ugly'"),
        ({"active": 1}, "active must be a bool, got 1"),
        ({"method": "none"}, "method must be one of slow, fast, got 'none'"),
        ({"fast.weights": [1.0]}, "fast.weights must be a list of 2 values"),
        ({"fast.weights": [1.0, -1.0]}, "fast.weights must be at least 0"),
        ({"slow.steps": 10}, "slow.steps must be at most 9"),
        ({"slow.stepz": 1, "counts": 2}, "unknown option: slow.stepz, counts; known are count, method"),
    ],
)
def test_what_is_refused_and_why(values, reason):
    with pytest.raises(ValueError, match=reason):
        Example.from_flat(values)


def test_a_group_of_another_class_is_refused():
    with pytest.raises(ValueError, match="method must be one of Slow, Fast"):
        Example(method=Timing())


def test_flat_values_and_configurations_agree():
    example = Example.from_flat({"method": "fast", "fast.weights": [1, 2], "source": 0, "timing.rate_hz": 5})
    assert example == Example(
        method=Fast(weights=(1.0, 2.0)), timing=Timing(rate_hz=5.0), inline=Timing(source="0")
    )
    assert Example.from_flat(example.flat()) == example
    assert Example().flat() == {leaf.name: leaf.default for leaf in leaves(Example)}


def test_none_has_a_flat_value_and_plain_fields_are_no_options():
    assert Example().flat()["slow.steps"] == 0
    assert Example.from_flat({"slow.steps": 0}).method == Slow()
    assert Example.from_flat({"slow.steps": 3}).method == Slow(steps=3)
    assert "slow.scale" not in Example().flat()


def test_a_value_is_named_even_where_another_group_is_chosen():
    with pytest.raises(ValueError, match=r"fast\.weights must be at least 0"):
        Example.from_flat({"method": "slow", "fast.weights": [-1.0, 0.0]})


def test_the_table_says_everything():
    assert table(Example).splitlines()[2:6] == [
        "| `count` | `2` | 1 ... | How many. |",
        "| `method` | `slow` | `slow`, `fast` | How. |",
        "| `slow.steps` | `0` | 0, or 1 ... 9 | Steps. |",
        "| `fast.weights` | `[0.5, 0.5]` | 0 ... | Weights. |",
    ]
    assert "| `source` | empty |  | Where from. Only at start. |" in table(Example)
    assert "| `active` | `true` |  | Whether. |" in table(Example)


def test_the_help_names_every_option():
    for leaf in leaves(Example):
        assert f"  {leaf.name} (default" in help_text(Example)


def test_the_help_is_short_where_options_are_marked():
    @dataclass(frozen=True)
    class Marked(Options):
        count: int = option(2, "How many.", essential=True)
        source: str = option("", "Where from.")

    assert help_text(Marked) == "  count (default 2)\n      How many.\n"


def test_yaml_holds_the_defaults_in_their_groups_with_comments():
    text = yaml_text(Example, indent=2)
    values = yaml.safe_load(text)
    assert values["timing"] == {"rate_hz": 30.0, "source": ""}
    assert values["slow"] == {"steps": 0}
    assert values["method"] == "slow"
    assert "    # How often. [0 ... 100]\n    rate_hz: 30.0\n" in text
    assert '  # Where from. (start)\n  source: ""\n' in text
