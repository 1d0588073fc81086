"""The encoder in parts gives the results and gradients that it gives part by part, whichever thread is faster."""

from __future__ import annotations

import copy
from typing import NamedTuple

import pytest
import torch
from torch import nn

from hand_pose_ros.training.parallel import ParallelEncoder


class Outputs(NamedTuple):
    one: torch.Tensor
    other: torch.Tensor


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3))
        self.unused = nn.Linear(2, 2)

    def forward(self, x):
        x = self.body(x)
        return Outputs(x.mean((-2, -1)), x.flatten(1).square().sum(1))


def network():
    torch.manual_seed(0)
    return Small().train()


def loss(outputs):
    return outputs.one.square().sum() + (outputs.other * torch.arange(len(outputs.other))).sum()


@pytest.mark.parametrize("count", [6, 7])
def test_parts_give_what_each_part_alone_gives(count):
    batch = torch.randn(count, 3, 8, 8)
    parallel, alone = network(), network()
    outputs = ParallelEncoder(parallel, 2)(batch)
    loss(outputs).backward()
    means = []
    expected = Outputs(torch.empty(count, 4), torch.empty(count))
    for part in range(2):
        one = copy.deepcopy(alone, {id(p): p for p in alone.parameters()})
        of_part = one(batch[part::2])
        for whole, rows in zip(expected, of_part, strict=True):
            whole[part::2] = rows
        means.append(one.body[1].running_mean)
    loss(expected).backward()
    for a, b in zip(outputs, expected, strict=True):
        torch.testing.assert_close(a, b)
    for (name, a), b in zip(parallel.named_parameters(), alone.parameters(), strict=True):
        if name.startswith("unused"):
            assert a.grad is None
        else:
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(parallel.body[1].running_mean, (means[0] + means[1]) / 2)
    assert parallel.body[1].num_batches_tracked == 1


def test_it_is_the_same_bit_for_bit_every_time_and_knows_autocast():
    batch = torch.randn(8, 3, 16, 16)
    gradients = []
    for _ in range(5):
        model = network()
        with torch.autocast("cpu", torch.bfloat16):
            outputs = ParallelEncoder(model, 2)(batch)
        loss(Outputs(*(value.float() for value in outputs))).backward()
        gradients.append([p.grad.clone() for p in model.body.parameters()])
        assert outputs.one.dtype == torch.bfloat16
    for other in gradients[1:]:
        assert all(torch.equal(a, b) for a, b in zip(gradients[0], other, strict=True))


def test_one_part_is_the_network_itself():
    model, batch = network(), torch.randn(4, 3, 8, 8)
    outputs = ParallelEncoder(model, 1)(batch)
    torch.testing.assert_close(outputs.one, network()(batch).one, rtol=0, atol=0)
    with pytest.raises(ValueError, match="at least 1"):
        ParallelEncoder(model, 0)
