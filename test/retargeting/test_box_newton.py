"""The solver in a box against SciPy's, on convex and other functions."""

import numpy as np
import pytest
from helpers.robot_hands import demo_retargeter, random_joints
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear, minimize

from hand_pose_ros.retargeting.box_newton import minimise_in_box
from hand_pose_ros.retargeting.human_vectors import HumanVectors
from hand_pose_ros.retargeting.objective import Derivatives, FrameProblem, Objective


class Quadratic:
    """``|A x - b|^2 / 2``."""

    def __init__(self, matrix: np.ndarray, aim: np.ndarray) -> None:
        self.matrix, self.aim = matrix, aim

    def value(self, x: np.ndarray) -> float:
        return float(np.sum((self.matrix @ x - self.aim) ** 2) / 2)

    def derivatives(self, x: np.ndarray) -> Derivatives:
        error = self.matrix @ x - self.aim
        return Derivatives(float(error @ error / 2), self.matrix.T @ error, self.matrix.T @ self.matrix)


class Saddle:
    """``cos(x) + y^2``, whose maximum in x is at zero: a Newton step there stays."""

    def value(self, x: np.ndarray) -> float:
        return float(np.cos(x[0]) + x[1] ** 2)

    def derivatives(self, x: np.ndarray) -> Derivatives:
        gradient = np.array([-np.sin(x[0]), 2 * x[1]])
        return Derivatives(self.value(x), gradient, np.diag([-np.cos(x[0]), 2.0]))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**31))
def test_a_quadratic_ends_where_scipy_ends(seed):
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 12))
    matrix = random.normal(size=(count + 3, count))
    aim = random.normal(size=count + 3)
    lower = random.uniform(-1, 0, count)
    upper = lower + random.uniform(0, 1, count) * (random.random(count) > 0.1)  # some sides of no width
    start = random.normal(size=count) * 3
    function = Quadratic(matrix, aim)
    found = minimise_in_box(function, start, lower, upper, tolerance=1e-12, max_iterations=200)
    expected = lsq_linear(matrix, aim, (lower, upper + 1e-13), tol=1e-12).x
    assert found.converged
    assert (found.x >= lower).all()
    assert (found.x <= upper).all()
    assert found.value == pytest.approx(function.value(expected), rel=1e-6, abs=1e-9)


def test_a_saddle_is_left():
    found = minimise_in_box(Saddle(), np.array([1e-3, 0.5]), np.array([-4.0, -1.0]), np.array([4.0, 1.0]))
    assert found.converged
    np.testing.assert_allclose(np.abs(found.x), [np.pi, 0], atol=1e-3)


@pytest.mark.parametrize("seed", range(10))
def test_a_hand_ends_no_worse_than_with_scipys_solver_from_the_same_start(seed):
    random = np.random.default_rng(seed)
    retargeter = demo_retargeter()
    robot, profile = retargeter.robot, retargeter.profile
    human = HumanVectors(profile)
    last = random.uniform(robot.lower_rad, robot.upper_rad)
    objective = Objective.of_profile(profile, robot, human)
    frame = FrameProblem(objective, human.targets(random_joints(random)), last)
    found = minimise_in_box(frame, last, robot.lower_rad, robot.upper_rad, max_iterations=100)
    assert found.converged
    # From where ours ends, another solver finds nothing lower.
    bounds = list(zip(robot.lower_rad, robot.upper_rad, strict=True))
    other = minimize(
        lambda x: (frame.value(x), frame.derivatives(x).gradient),
        found.x,
        jac=True,
        bounds=bounds,
        method="L-BFGS-B",
    )
    assert found.value <= other.fun + 1e-5


def test_steps_run_out():
    matrix = np.diag([1.0, 1e-3])
    far = minimise_in_box(Saddle(), np.array([1e-9, 0.5]), -np.ones(2), np.ones(2), max_iterations=1)
    assert not far.converged
    assert far.iterations == 1
    near = Quadratic(matrix, np.zeros(2))
    assert minimise_in_box(near, np.zeros(2), -np.ones(2), np.ones(2)).iterations == 0
