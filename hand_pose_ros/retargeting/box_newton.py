"""Minimisation of a smooth function in a box by Newton steps: a few dozen variables and a few steps.

Each step minimises the quadratic model in the box: variables that the step would push through a side are held
there, and the rest is solved again. Where the Hessian is not positive definite its eigenvalues are taken without
their signs, so that the step leads away from saddles. It is damped until the step lowers the function
(Levenberg-Marquardt), so that the function never rises.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from scipy.linalg import get_lapack_funcs

from hand_pose_ros.retargeting.objective import Derivatives
from hand_pose_ros.retargeting.robot_hand import Array

_POSV: Final[Any] = get_lapack_funcs("posv", dtype=np.float64)
"""LAPACK's Cholesky decomposition and solution in one call: a tenth of NumPy's time at this size."""


class Function(Protocol):
    """A function of (n,) variables with derivatives."""

    def value(self, x: Array) -> float:
        """The value at ``x``."""
        ...

    def derivatives(self, x: Array) -> Derivatives:
        """Value, gradient and Hessian at ``x``."""
        ...


class Minimum(NamedTuple):
    """x: (n,) the best point. value: there. converged: no step lowers the value by more than the tolerance."""

    x: Array
    value: float
    converged: bool
    iterations: int


def minimise_in_box(
    function: Function,
    start: Array,
    lower: Array,
    upper: Array,
    tolerance: float = 1e-6,
    max_iterations: int = 20,
) -> Minimum:
    """Minimise ``function`` for ``lower <= x <= upper`` (n,) from ``start``, which is moved into the box.

    tolerance: stop when the quadratic model promises to lower the value by less than this.
    """
    x = np.clip(start, lower, upper)
    here = function.derivatives(x)
    damping = 0.0
    smallest = 1e-3 * max(float(np.abs(np.diag(here.hessian)).mean()), 1e-9)
    for iteration in range(max_iterations):
        candidate, promise = _step(here, x, lower, upper, damping)
        if promise < tolerance and _best_descent(here, x, lower, upper) < 4 * tolerance:
            return Minimum(x, here.value, True, iteration)
        value = function.value(candidate)
        if not damping and promise < 50 * tolerance and abs(here.value - value - promise) < 0.1 * promise:
            # The model holds: what a further step could gain is below the tolerance.
            return Minimum(candidate, value, True, iteration + 1)
        if promise > 0 and value <= here.value - 0.1 * promise:
            x, here = candidate, function.derivatives(candidate)
            damping = damping / 8 if damping > smallest else 0.0
        else:
            damping = max(8 * damping, smallest)
    return Minimum(x, here.value, False, max_iterations)


def _step(here: Derivatives, x: Array, lower: Array, upper: Array, damping: float) -> tuple[Array, float]:
    """The quadratic model's minimum in the box, and how much lower the model is there."""
    gradient, hessian = here.gradient, here.hessian
    count = len(x)
    move = np.zeros(count)
    free = ~(((x <= lower) & (gradient >= 0)) | ((x >= upper) & (gradient <= 0)))
    damped = hessian + damping * np.eye(count) if damping else hessian
    definite = False
    for _ in range(count + 1):
        index = np.flatnonzero(free)
        if not len(index):
            break
        held = gradient[index] + damped[index] @ np.where(free, 0.0, move)
        _, wish, failed = _POSV(damped[index[:, None], index], -held)
        if failed and not definite:
            damped, definite = _absolute(damped), True
            continue
        inside = np.clip(wish, lower[index] - x[index], upper[index] - x[index])
        move[index] = inside
        outside = inside != wish
        if not outside.any():
            break
        free[index[outside]] = False
    promise = -float(gradient @ move + move @ damped @ move / 2)
    return np.clip(x + move, lower, upper), promise


def _absolute(matrix: Array) -> Array:
    """The symmetric matrix with the absolute values of its eigenvalues, away from zero."""
    values, vectors = np.linalg.eigh(matrix)
    sizes = np.abs(values)
    return np.asarray((vectors * np.maximum(sizes, 1e-3 * sizes.max() + 1e-12)) @ vectors.T, dtype=np.float64)


def _best_descent(here: Derivatives, x: Array, lower: Array, upper: Array) -> float:
    """How much lower the quadratic model gets by moving one variable alone, added up over the variables."""
    curvature = np.maximum(np.abs(np.diag(here.hessian)), 1e-9)
    move = np.clip(-here.gradient / curvature, lower - x, upper - x)
    return -float(move @ (here.gradient + curvature * move / 2))
