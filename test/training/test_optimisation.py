"""The parts of an optimisation step, each against its definition."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hand_pose_ros.common.device import resolve_device
from hand_pose_ros.training.config import OptimiserConfig
from hand_pose_ros.training.optimisation import (
    RATE,
    AveragedWeights,
    generator_ahead,
    learning_rate,
    make_optimiser,
    seeded_generator,
)
from hand_pose_ros.training.precision import autocast, full_precision


def test_random_numbers_depend_on_seed_and_step_only():
    def draw(seed, step):
        return torch.cat((torch.randn(4, generator=seeded_generator(seed, step)), torch.randn(4))).tolist()

    first = draw(1, 2)
    draw(9, 9)
    assert draw(1, 2) == first
    draws = {tuple(draw(seed, step)) for seed in range(5) for step in range(5)}
    assert len(draws) == 25, "seeds and steps must not be interchangeable"


def test_the_learning_rate_rises_linearly_and_falls_as_a_cosine():
    config = OptimiserConfig(learning_rate=2.0, warm_up_steps=9, final_learning_rate=0.1)
    rising = [learning_rate(config, step, 0.0) for step in range(12)]
    torch.testing.assert_close(rising, [0.2 * min(step + 1, 10) for step in range(12)])
    assert learning_rate(config, 100, 0.5) == pytest.approx(2 * (1 + 0.1) / 2)
    assert learning_rate(config, 100, 1.0) == pytest.approx(0.2)
    falling = [learning_rate(config, 100, share / 20) for share in range(21)]
    assert falling == sorted(falling, reverse=True)


def test_the_learning_rate_may_fall_in_steps():
    config = OptimiserConfig(learning_rate=2.0, warm_up_steps=0, schedule="steps", decay_at=(0.4, 0.8))
    rates = [learning_rate(config, 10, share) for share in (0.0, 0.39, 0.4, 0.79, 0.8, 1.0)]
    torch.testing.assert_close(rates, [2.0, 2.0, 0.2, 0.2, 0.02, 0.02])


def test_sgd_has_momentum_and_the_groups_of_rates():
    model = nn.Linear(2, 2)
    config = OptimiserConfig(method="sgd", learning_rate=0.1, momentum=0.5, weight_decay=0.0)
    optimiser = make_optimiser(model, config, {"weight": 0.5})
    assert sorted(group[RATE] for group in optimiser.param_groups) == [0.5, 1.0]
    before = model.bias.detach().clone()
    for _ in range(2):
        model.bias.grad = torch.ones(2)
        optimiser.step()
    torch.testing.assert_close(model.bias.detach(), before - 0.1 * (1 + 1.5))


def test_only_matrices_decay():
    model = nn.Sequential(nn.Conv1d(2, 2, 3), nn.LayerNorm(4))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimiser = make_optimiser(model, OptimiserConfig(learning_rate=0.1, weight_decay=0.5))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    for name, parameter in model.named_parameters():
        factor = 0.95 if name == "0.weight" else 1.0
        torch.testing.assert_close(parameter, before[name] * factor)


def test_a_model_without_parameters_is_refused():
    with pytest.raises(ValueError, match="no parameter to train"):
        make_optimiser(nn.Linear(2, 2).requires_grad_(False), OptimiserConfig())


def test_averages_are_those_of_a_slow_loop():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    averaged = AveragedWeights(model, 0.9)
    expected = {name: p.detach().clone().double() for name, p in model.named_parameters()}
    generator = torch.Generator().manual_seed(0)
    for step in range(200):
        for name, parameter in model.named_parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)
            keep = min(0.9, (1 + step) / (10 + step))
            expected[name] = keep * expected[name] + (1 - keep) * parameter.detach().double()
        model(torch.randn(8, 3, generator=generator))
        averaged.update(step)
    for name, parameter in averaged.model.named_parameters():
        torch.testing.assert_close(parameter.double(), expected[name], rtol=1e-5, atol=1e-6)
        assert not parameter.requires_grad
    assert torch.equal(averaged.model[1].running_mean, model[1].running_mean)
    assert averaged.model[1].num_batches_tracked == 200
    assert not averaged.model.training


def test_averages_stay_when_parameters_are_replaced_in_place_only():
    model = nn.Linear(2, 2)
    averaged = AveragedWeights(model, 0.0)
    with torch.no_grad():
        model.weight.fill_(3.0)
    averaged.update(100)
    assert torch.equal(averaged.model.weight, model.weight), "a decay of 0 is no averaging"


def test_precision_is_low_in_the_network_and_full_where_asked():
    layer, inputs = nn.Linear(4, 4), torch.zeros(2, 4)
    with autocast("bf16", torch.device("cpu")):
        assert layer(inputs).dtype == torch.bfloat16
        with full_precision():
            assert layer(inputs).dtype == torch.float32
        assert full_precision()(layer)(inputs).dtype == torch.float32
        assert layer(inputs).dtype == torch.bfloat16
    for name in ("fp32", "auto"):
        with autocast(name, torch.device("cpu")):
            assert layer(inputs).dtype == torch.float32


def test_devices():
    assert resolve_device("cpu").type == "cpu"
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device is 'cuda', but"):
            resolve_device("cuda")


def test_the_generator_of_a_later_step_can_be_had_before_without_a_trace():
    seeded_generator(3, 7)
    state = torch.get_rng_state()
    ahead = generator_ahead(3, 8)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(torch.rand(4, generator=ahead), torch.rand(4, generator=seeded_generator(3, 8)))


def test_parameters_learn_at_the_rate_of_the_longest_name_that_fits():
    model = nn.ModuleDict(
        {"a": nn.ModuleDict({"b": nn.Linear(2, 2), "c": nn.Linear(2, 2)}), "d": nn.Linear(2, 2)}
    )
    optimiser = make_optimiser(model, OptimiserConfig(), {"a.": 0.5, "a.b.": 0.25})
    rates = {id(p): group[RATE] for group in optimiser.param_groups for p in group["params"]}
    found = {name: rates[id(p)] for name, p in model.named_parameters()}
    assert found == {
        **dict.fromkeys(("a.b.weight", "a.b.bias"), 0.25),
        **dict.fromkeys(("a.c.weight", "a.c.bias"), 0.5),
        **dict.fromkeys(("d.weight", "d.bias"), 1.0),
    }
    decays = {
        group["weight_decay"] for group in optimiser.param_groups for p in group["params"] if p.ndim < 2
    }
    assert decays == {0.0}
    with pytest.raises(ValueError, match=r"name starts with e\."):
        make_optimiser(model, OptimiserConfig(), {"e.": 1.0})
