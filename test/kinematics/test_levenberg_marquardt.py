"""The batched, bounded Levenberg-Marquardt on a problem with a known answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from scipy.optimize import least_squares
from torch import Tensor

from hand_pose_ros.kinematics.levenberg_marquardt import Linearisation, minimise


class Point(NamedTuple):
    x: Tensor


@dataclass(frozen=True)
class Rosenbrock:
    """min (1 - x)^2 + 100 (y - x^2)^2 over a box, one box per problem."""

    lowest: Tensor
    highest: Tensor

    def cost(self, state):
        return self.linearise(state).residuals.square().sum(-1) / 2

    def linearise(self, state):
        x, y = state.x.unbind(-1)
        one, zero = torch.ones_like(x), torch.zeros_like(x)
        residuals = torch.stack((1 - x, 10 * (y - x * x)), -1)
        return Linearisation(
            residuals, torch.stack((-one, zero, -20 * x, 10 * one), -1).unflatten(-1, (2, 2))
        )

    def step_range(self, state):
        return self.lowest - state.x, self.highest - state.x

    def retract(self, state, step):
        return Point(state.x + step)

    def subset(self, chosen):
        return Rosenbrock(self.lowest[chosen], self.highest[chosen])


def test_bounded_minima_equal_scipys():
    generator = torch.Generator().manual_seed(0)
    lowest = -2 + 2 * torch.rand(40, 2, generator=generator, dtype=torch.float64)
    highest = lowest + 0.5 + 2 * torch.rand(40, 2, generator=generator, dtype=torch.float64)
    start = (lowest + highest) / 2
    solution = minimise(Point(start), Rosenbrock(lowest, highest), max_iterations=300, tolerance=1e-12)
    # Where residuals stay large, Gauss-Newton misjudges the curvature and the flag errs on the side of False.
    assert solution.converged.sum() >= 25
    assert (solution.state.x >= lowest - 1e-12).all()
    assert (solution.state.x <= highest + 1e-12).all()
    for i in range(40):
        expected = least_squares(
            lambda p: [1 - p[0], 10 * (p[1] - p[0] ** 2)],
            start[i].numpy(),
            bounds=(lowest[i].numpy(), highest[i].numpy()),
            xtol=1e-14,
            ftol=1e-14,
        )
        assert solution.cost[i] <= expected.cost * (1 + 1e-3) + 1e-9


def test_a_problem_is_solved_the_same_alone_and_in_a_batch():
    lowest = torch.tensor([[-3.0, -3.0], [0.0, 2.0], [-1.5, -1.0]], dtype=torch.float64)
    highest = lowest + 4
    problem = Rosenbrock(lowest, highest)
    together = minimise(Point((lowest + highest) / 2), problem, max_iterations=100)
    for i in range(3):
        alone = minimise(
            Point((lowest + highest)[i : i + 1] / 2), problem.subset(torch.tensor([i])), max_iterations=100
        )
        torch.testing.assert_close(alone.state.x[0], together.state.x[i])


def test_a_cost_that_is_nan_everywhere_ends_without_converging():
    nan = torch.full((1, 2), torch.nan, dtype=torch.float64)
    problem = Rosenbrock(-torch.ones(1, 2), torch.ones(1, 2))
    solution = minimise(Point(nan), problem, max_iterations=5)
    assert not solution.converged.any()
