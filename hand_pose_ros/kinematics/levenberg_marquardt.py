"""Batched Levenberg-Marquardt with box bounds: many small problems at once, each with its own damping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

State = TypeVar("State", bound=tuple[Tensor, ...])

_DAMPING_START, _DAMPING_MIN, _DAMPING_MAX = 1e-3, 1e-9, 1e9
_DAMPING_UP, _DAMPING_DOWN = 8.0, 0.2
_RELATIVE_TOLERANCE = 1e-4


class Linearisation(NamedTuple):
    """Residuals r (B, m) and their Jacobian (B, m, n) with respect to a step from the current state."""

    residuals: Tensor
    jacobian: Tensor


class Problem(Protocol[State]):
    """A batch of B problems over a state, a named tuple of tensors (B, ...)."""

    def cost(self, state: State) -> Tensor:
        """(B,) half the sum of squared residuals."""
        ...

    def linearise(self, state: State) -> Linearisation:
        """Residuals and their Jacobian at ``state``."""
        ...

    def step_range(self, state: State) -> tuple[Tensor, Tensor]:
        """Lowest and highest allowed step (B, n) from ``state``; -inf and inf where unbounded."""
        ...

    def retract(self, state: State, step: Tensor) -> State:
        """``state`` moved by ``step`` (B, n)."""
        ...

    def subset(self, chosen: Tensor) -> Problem[State]:
        """Only the problems with the indices ``chosen`` (k,)."""
        ...


@dataclass(frozen=True)
class Solution(Generic[State]):
    """The result of a minimisation.

    state: the best state found. cost: (B,) half the sum of squared residuals there. converged: (B,) whether one
    more step could lower the cost by no more than the tolerance. iterations: how many steps were tried.
    """

    state: State
    cost: Tensor
    converged: Tensor
    iterations: int


def minimise(
    state: State, problem: Problem[State], max_iterations: int = 60, tolerance: float = 1e-2
) -> Solution[State]:
    """Minimise half the sum of squared residuals of each problem of the batch, inside box bounds.

    Each step solves ``(J^T J + damping diag(J^T J)) step = -J^T r`` over the variables that no bound holds, is cut
    to its allowed range, and is kept only where it lowers the cost. Problems that have converged leave the batch.

    Args:
        tolerance: decrease of the cost below which a problem counts as converged, plus a ten-thousandth of the
            cost itself. With residuals in standard deviations the cost is a negative log-likelihood, so that
            1e-2 is far below what the data can tell apart.
    """
    cost = problem.cost(state)
    solution = Solution(state, cost.clone(), torch.zeros_like(cost, dtype=torch.bool), 0)
    active = torch.arange(len(cost), device=cost.device)
    damping = torch.full_like(cost, _DAMPING_START)
    system = None
    for iteration in range(1, max_iterations + 1):
        if len(active) == 0:
            break
        if system is None:
            system = _normal_equations(problem.linearise(state), *problem.step_range(state))
        step, promise = _bounded_step(system, damping)
        trial = problem.retract(state, step)
        trial_cost = problem.cost(trial)
        better = trial_cost < cost  # False for a NaN cost
        # Only a lightly damped step says how far the optimum is: a small promise under heavy damping says nothing.
        # And where the cost fell by more than was promised, the promise was wrong.
        negligible = tolerance + _RELATIVE_TOLERANCE * cost
        flat = (promise <= negligible) & ~(cost - trial_cost > negligible) & cost.isfinite()
        converged = flat & (damping <= _DAMPING_START)
        state = select(better, trial, state)
        cost = torch.where(better, trial_cost, cost)
        damping = (damping * torch.where(better, _DAMPING_DOWN, _DAMPING_UP)).clamp(
            _DAMPING_MIN, _DAMPING_MAX
        )
        if bool(better.any()):
            system = None
        if bool(converged.any()) or iteration == max_iterations:
            solution = _store(solution, active, state, cost, converged, iteration)
            left = (~converged).nonzero()[:, 0]
            active, cost, damping = active[left], cost[left], damping[left]
            state, problem, system = _take(state, left), problem.subset(left), None
    return solution


class _System(NamedTuple):
    hessian: Tensor
    gradient: Tensor
    lowest: Tensor
    highest: Tensor


def _normal_equations(linearisation: Linearisation, lowest: Tensor, highest: Tensor) -> _System:
    residuals, jacobian = linearisation
    transposed = jacobian.transpose(-1, -2)
    gradient = (transposed @ residuals.unsqueeze(-1)).squeeze(-1)
    return _System(transposed @ jacobian, gradient, lowest, highest)


def _bounded_step(system: _System, damping: Tensor) -> tuple[Tensor, Tensor]:
    """The damped step inside its range (B, n), and the decrease (B,) that the quadratic model promises without it.

    No step inside the range can do better than that one, while a step that the range has bent may, by accident,
    promise nothing far from the optimum. The promise is NaN where the system could not be solved.
    """
    hessian, gradient, lowest, highest = system
    held = ((lowest >= 0) & (gradient > 0)) | ((highest <= 0) & (gradient < 0))
    step = _solve_free(hessian, gradient, damping, held)
    # s^T H s / 2 + g^T s for the solution of (H + D) s = -g, with the damping D.
    damped = damping * (hessian.diagonal(dim1=-2, dim2=-1) * step.square()).sum(-1)
    promise = (damped - (gradient * step).sum(-1)) / 2
    step = _finite(step)
    # Variables that the free step drives through a bound stop there; the others answer to that once.
    clipped = torch.minimum(torch.maximum(step, lowest), highest)
    stopped = (clipped != step) & ~held
    if bool(stopped.any()):
        fixed = torch.where(stopped, clipped, torch.zeros_like(step))
        pushed = gradient + (hessian @ fixed.unsqueeze(-1)).squeeze(-1)
        others = _finite(_solve_free(hessian, pushed, damping, held | stopped))
        step = torch.where(stopped, fixed, others)
        step = torch.minimum(torch.maximum(step, lowest), highest)
    return step, promise


def _solve_free(hessian: Tensor, gradient: Tensor, damping: Tensor, held: Tensor) -> Tensor:
    """Solve the damped system over the variables that are not ``held`` (B, n); those get a step of zero.

    NaN where the system is not positive definite.
    """
    free = (~held).to(hessian.dtype)
    diagonal = hessian.diagonal(dim1=-2, dim2=-1)
    floor = torch.finfo(hessian.dtype).eps * diagonal.amax(-1, keepdim=True)
    matrix = hessian * free[..., :, None] * free[..., None, :]
    matrix = matrix + torch.diag_embed(damping[..., None] * diagonal + floor + held.to(hessian.dtype))
    factor, failed = torch.linalg.cholesky_ex(matrix)
    step = torch.cholesky_solve(-(gradient * free).unsqueeze(-1), factor).squeeze(-1)
    return torch.where((failed == 0)[:, None], step, step.new_tensor(torch.nan))


def _finite(step: Tensor) -> Tensor:
    return torch.nan_to_num(step, nan=0.0, posinf=0.0, neginf=0.0)


def keep_better(solution: Solution[State], chosen: Tensor, other: Solution[State]) -> Solution[State]:
    """``solution`` with its problems ``chosen`` (k,) replaced by those of ``other`` (batch k) that cost less."""
    better = other.cost < solution.cost[chosen]
    state = _take(other.state, better)
    return _store(
        solution, chosen[better], state, other.cost[better], other.converged[better], solution.iterations
    )


def select(accept: Tensor, new: State, old: State) -> State:
    """The new state where ``accept`` (B,) is true, the old one elsewhere."""
    fields = (
        torch.where(accept.reshape(-1, *[1] * (n.ndim - 1)), n, o) for n, o in zip(new, old, strict=True)
    )
    return type(old)(*fields)


def _take(state: State, chosen: Tensor) -> State:
    return type(state)(*(field[chosen] for field in state))


def _store(
    solution: Solution[State], active: Tensor, state: State, cost: Tensor, converged: Tensor, iteration: int
) -> Solution[State]:
    """``solution`` with the problems ``active`` brought up to date."""
    fields = (old.index_copy(0, active, new) for old, new in zip(solution.state, state, strict=True))
    return Solution(
        type(state)(*fields),
        solution.cost.index_copy(0, active, cost),
        solution.converged.index_copy(0, active, converged),
        iteration,
    )
