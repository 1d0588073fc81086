"""The cheapest assignment of observations to tracks is the one that SciPy finds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from hand_pose_ros.tracking.association import assign


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 2), (2, 6), (3, 2), (4, 4), (6, 3), (7, 6), (9, 1)])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_it_is_the_cheapest_of_all(shape, share):
    random = np.random.default_rng(3)
    for _ in range(40):
        costs, allowed = random.uniform(0, 2, shape), random.uniform(size=shape) >= share
        rows, columns = linear_sum_assignment(np.where(allowed, costs, 1e6))
        pairs = zip(rows.tolist(), columns.tolist(), strict=True)
        assert assign(costs, allowed) == [pair for pair in pairs if allowed[pair]]


def test_nothing_is_assigned_to_nothing():
    assert assign(np.zeros((0, 3)), np.zeros((0, 3), bool)) == []
