"""Options as node parameters: declared with description and range, changed at run time."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import pytest
from rclpy.parameter import Parameter

from hand_pose_ros import factory
from hand_pose_ros.common.option_documents import table
from hand_pose_ros.common.options import Options, option, section
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimatorConfig
from hand_pose_ros.ros.hand_estimator.parameters import HandEstimatorParameters
from hand_pose_ros.ros.parameter_documents import parameter_file
from hand_pose_ros.ros.shared.parameters import changed, declare


@dataclass(frozen=True)
class Timing(Options):
    rate_hz: float = option(30.0, "How often.", minimum=0.0, maximum=100.0)
    weights: tuple[float, ...] = option((0.5, 0.5), "Weights.")
    size_m: float | None = option(None, "Size.", minimum=0.1, maximum=0.2, unset=0.0)


@dataclass(frozen=True)
class Example(Options):
    timing: Timing = section(Timing, "timing")
    count: int = option(2, "How many.", minimum=1)
    mode: str = option("fast", "How.", choices=("fast", "good"))
    model: str = option("", "Which.", read_only=True)


def test_a_change_touches_what_it_names_and_leaves_what_is_not_ours():
    changes = [
        Parameter("count", value=7),
        Parameter("timing.rate_hz", value=5),
        Parameter("use_sim_time", value=True),
    ]
    expected = Example(timing=Timing(rate_hz=5.0), mode="good", count=7)
    assert changed(Example(mode="good"), changes) == expected
    numbers = changed(Example(), [Parameter("timing.weights", value=array("d", (0.25, 0.75)))])
    assert numbers.timing.weights == (0.25, 0.75)
    with pytest.raises(ValueError, match=r"model can only be set when the node starts$"):
        changed(Example(), [Parameter("model", value="b")])
    with pytest.raises(ValueError, match=r"timing\.rate_hz must be at most 100"):
        changed(Example(), [Parameter("timing.rate_hz", value=101.0)])


def test_declared_parameters_carry_description_and_range(listener):
    assert declare(listener.node, Example) == Example()
    names = ["timing.rate_hz", "count", "mode", "timing.size_m"]
    described = listener.node.describe_parameters(names)
    assert [d.description for d in described] == ["How often.", "How many.", "How.", "Size."]
    (rate,) = described[0].floating_point_range
    assert (rate.from_value, rate.to_value) == (0.0, 100.0)
    assert described[1].integer_range[0].from_value == 1
    assert described[2].additional_constraints == "one of fast, good"
    assert described[3].floating_point_range[0].from_value == 0.0, "the value that stands for None is allowed"


@dataclass(frozen=True)
class WithOneMore(DiffusionEstimatorConfig):
    temperature: float = option(1.0, "Spread of the noise.", minimum=0.5, maximum=2.0)


def test_a_new_option_of_an_estimator_is_declared_in_one_place(listener, monkeypatch, repository):
    before = parameter_file()
    monkeypatch.setitem(factory.ESTIMATORS, "diffusion", WithOneMore)
    parameters = declare(listener.node, HandEstimatorParameters)
    assert parameters.pipeline.estimator == WithOneMore()
    (described,) = listener.node.describe_parameters(["diffusion.temperature"])
    assert described.description == "Spread of the noise."
    assert described.floating_point_range[0].to_value == 2.0
    row = "| `diffusion.temperature` | `1.0` | 0.5 ... 2 | Spread of the noise. Only at start. |"
    assert row in table(HandEstimatorParameters).splitlines()
    assert "      temperature: 1.0\n" in parameter_file()
    shipped = (repository / "config" / "estimator.yaml").read_text()
    assert shipped == before != parameter_file(), "the check of the parameter file misses the new option"
    given = HandEstimatorParameters.from_flat({"diffusion.temperature": 0.75})
    assert given.pipeline.estimator.temperature == 0.75
