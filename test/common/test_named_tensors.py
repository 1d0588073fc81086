"""Operations on named tuples reach every field, also those of tuples inside, and keep the types."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from hand_pose_ros.common.named_tensors import cat, each, rows, stack, to


class Inner(NamedTuple):
    array: np.ndarray
    tensor: Tensor


class Outer(NamedTuple):
    inner: Inner
    tensor: Tensor


def made(start, count=3):
    numbers = torch.arange(start, start + count)
    return Outer(Inner(numbers.numpy(), numbers[:, None] * torch.ones(2)), numbers)


def assert_same(actual, expected):
    assert (type(actual), type(actual.inner)) == (Outer, Inner)
    assert isinstance(actual.inner.array, np.ndarray)
    np.testing.assert_array_equal(actual.inner.array, expected.inner.array)
    for one, other in ((actual.inner.tensor, expected.inner.tensor), (actual.tensor, expected.tensor)):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_rows_of_joined_tuples_are_the_tuples():
    joined = cat([made(0), made(3, 2), made(5, 1)])
    assert_same(joined, made(0, 6))
    assert_same(rows(joined, slice(3, 5)), made(3, 2))
    assert_same(rows(joined, joined.inner.array > 4), made(5, 1))
    assert_same(cat([made(0)]), made(0))


def test_stacked_tuples_have_a_new_first_axis():
    stacked = stack([made(0), made(7)])
    assert stacked.inner.tensor.shape == (2, 3, 2)
    assert_same(rows(stacked, 1), made(7))
    of_numbers = stack([Inner(True, torch.tensor(1.0)), Inner(False, torch.tensor(2.0))])
    np.testing.assert_array_equal(of_numbers.array, [True, False])


def test_each_and_to_reach_every_tensor():
    assert_same(
        each(lambda value: 2 * value, cat([made(0), made(0)])), each(lambda v: v + v, cat([made(0)] * 2))
    )
    inner = Outer(made(0).inner._replace(array=torch.zeros(3)), made(0).tensor)
    for place in (torch.float64, torch.zeros((), dtype=torch.float64)):
        moved = to(inner, place)
        assert type(moved.inner) is Inner
        assert {moved.inner.array.dtype, moved.inner.tensor.dtype, moved.tensor.dtype} == {torch.float64}
    assert to(inner, torch.device("meta")).inner.tensor.is_meta


def test_there_must_be_something_to_join():
    for join in (cat, stack):
        with pytest.raises(ValueError, match="at least one part"):
            join([])
