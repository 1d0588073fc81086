"""Minimisation of a smooth function in a box by Newton steps: a few dozen variables, a few steps, no library.

Each step minimises the quadratic model in the box: variables that the step would push through a side are held
there, and the rest is solved again. The Hessian is damped until it is positive definite and the step lowers f
(Levenberg-Marquardt), so that f never rises.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from hand_pose_ros.retargeting.objective import Derivatives
from hand_pose_ros.retargeting.robot_hand import Array


class Function(Protocol):
    """A function of (n,) variables with derivatives."""

    def value(self, x: Array) -> float:
        """The value at ``x``."""
        ...

    def derivatives(self, x: Array) -> Derivatives:
        """Value, gradient and Hessian at ``x``."""
        ...


class Minimum(NamedTuple):
    """x: (n,) the best point. value: f there. converged: no step lowers f by more than the tolerance."""

    x: Array
    value: float
    converged: bool
    iterations: int


def minimise_in_box(
    function: Function,
    start: Array,
    lower: Array,
    upper: Array,
    tolerance: float = 1e-7,
    max_iterations: int = 20,
) -> Minimum:
    """Minimise ``function`` for ``lower <= x <= upper`` (n,) from ``start``, which is moved into the box.

    tolerance: stop when the quadratic model promises to lower f by less than this.
    """
    x = np.clip(start, lower, upper)
    here = function.derivatives(x)
    damping = 0.0
    smallest = 1e-3 * max(float(np.trace(here.hessian)) / len(x), 1e-9)
    for iteration in range(max_iterations):
        candidate, promise = _step(here, x, lower, upper, damping)
        if candidate is None:
            damping = max(4 * damping, smallest)
            continue
        if promise < tolerance:
            return Minimum(x, here.value, True, iteration)
        value = function.value(candidate)
        if value <= here.value - 0.1 * promise:
            x, here, damping = (
                candidate,
                function.derivatives(candidate),
                damping / 8 if damping > smallest else 0.0,
            )
        else:
            damping = max(4 * damping, smallest)
    return Minimum(x, here.value, False, max_iterations)


def _step(
    here: Derivatives, x: Array, lower: Array, upper: Array, damping: float
) -> tuple[Array | None, float]:
    """The quadratic model's minimum in the box and how much lower it is; None if the model has no minimum."""
    gradient, hessian = here.gradient, here.hessian
    count = len(x)
    move = np.zeros(count)
    free = ~(((x <= lower) & (gradient >= 0)) | ((x >= upper) & (gradient <= 0)))
    damped = hessian + damping * np.eye(count) if damping else hessian
    for _ in range(count):
        index = np.flatnonzero(free)
        if not len(index):
            break
        block = damped[index[:, None], index]
        try:
            root = np.linalg.cholesky(block)
        except np.linalg.LinAlgError:
            return None, 0.0
        held = gradient[index] + damped[index] @ np.where(free, 0.0, move)
        wish = -np.linalg.solve(root.T, np.linalg.solve(root, held))
        inside = np.clip(wish, lower[index] - x[index], upper[index] - x[index])
        move[index] = inside
        outside = inside != wish
        if not outside.any():
            break
        free[index[outside]] = False
    promise = -float(gradient @ move + move @ damped @ move / 2)
    return np.clip(x + move, lower, upper), promise
