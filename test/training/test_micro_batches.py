"""Gradients over micro-batches: those of the whole batch, with buffers that do not depend on the order."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hand_pose_ros.training.micro_batches import MicroBatches
from hand_pose_ros.training.optimisation import generator_ahead, seeded_generator
from hand_pose_ros.training.ranks import Ranks

ROWS = torch.randn(12, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def network(norm: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Linear(3, 4), nn.BatchNorm1d(4) if norm else nn.Tanh(), nn.Linear(4, 2)]
    return nn.Sequential(*layers).double()


def terms(model: nn.Module, rows: torch.Tensor) -> dict[str, torch.Tensor]:
    output = model(rows)
    return {"a": output.square().mean(), "b": output.abs().mean()}


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_micro_batches_give_the_gradient_of_the_whole_batch(count):
    model, whole = network(), network()
    batches = ROWS.chunk(count)
    found = MicroBatches(model, count, Ranks()).gradients(lambda number: terms(model, batches[number]))
    expected = terms(whole, ROWS)
    sum(expected.values()).backward()
    for ours, theirs in zip(model.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-6, atol=1e-8)
    for name, term in expected.items():
        torch.testing.assert_close(found[name], term.detach())
        assert not found[name].requires_grad


def test_buffers_change_by_the_mean_whatever_the_order():
    batches, states = ROWS.chunk(3), []
    for order in ((0, 1, 2), (2, 0, 1)):
        model = network(norm=True)
        MicroBatches(model, 3, Ranks()).gradients(lambda k, m=model, o=order: terms(m, batches[o[k]]))
        states.append(dict(model.named_buffers()))
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name])
    alone = []
    for rows in batches:
        model = network(norm=True)
        terms(model, rows)
        alone.append(model[1].running_mean)
    torch.testing.assert_close(states[0]["1.running_mean"], torch.stack(alone).mean(0))
    assert states[0]["1.num_batches_tracked"] == 1


def test_a_parameter_without_a_gradient_keeps_none():
    model = nn.ModuleList([nn.Linear(3, 2), nn.Linear(3, 2), nn.Linear(3, 2)]).double()
    batches = ROWS.chunk(2)
    MicroBatches(model, 2, Ranks()).gradients(lambda number: {"a": model[number](batches[number]).mean()})
    assert model[0].bias.grad is not None
    assert model[1].bias.grad is not None
    assert model[2].bias.grad is None


def test_terms_must_stay_the_same():
    model = network()
    with pytest.raises(ValueError, match="the loss terms must stay the same"):
        MicroBatches(model, 2, Ranks()).gradients(lambda number: {f"a{number}": model(ROWS).mean()})


def test_every_micro_batch_has_random_numbers_of_its_own():
    drawn = {
        float(torch.rand((), generator=seeded_generator(seed, step, number)))
        for seed in (0, 1)
        for step in range(3)
        for number in range(4)
    }
    assert len(drawn) == 24
    ahead, now = (make(1, 2, 3) for make in (generator_ahead, seeded_generator))
    assert torch.equal(torch.rand(3, generator=ahead), torch.rand(3, generator=now))
    one, first = seeded_generator(1, 2), seeded_generator(1, 2, 0)
    assert torch.equal(torch.rand(3, generator=one), torch.rand(3, generator=first))
