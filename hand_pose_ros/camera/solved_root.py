"""The result of every root solver: the wrist's position, its uncertainty, and whether it is valid."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

import torch
from torch import Tensor

MAX_CONDITION: Final = 60.0
"""Above this a solution is not valid: a pixel of noise, at 600 px focal length, would move the depth by 10 %."""


class Reason(IntEnum):
    """Why a solution is not valid."""

    OK = 0
    TOO_FEW_JOINTS = 1
    """Too few joints are known for a unique solution."""
    NO_SOLUTION = 2
    """No depth explains the input: image points, relative depths and lengths contradict each other."""
    AMBIGUOUS = 3
    """Two depths in front of the camera explain the input equally well."""
    BEHIND_CAMERA = 4
    """The solution has joints behind the camera."""
    ILL_CONDITIONED = 5
    """The input hardly depends on the depth: bones point at the camera, or image points coincide."""


class RootSolution(NamedTuple):
    """The wrist's position and its quality.

    position: (..., 3) wrist in the camera frame, in the unit of the input; NaN where not valid.
    condition: (...) how strongly noise shows: the standard deviation of the relative depth (of Z, divided by Z)
        per unit of noise in the normalised image points. Times pixels of noise over focal length, it is the
        relative error of the depth to expect. A joint of weight w counts as 1 / sqrt(w) times as noisy as one of
        weight 1. Infinite where the depth is unknown.
    residual: (...) root mean square misfit: of bone lengths in the unit of the input, or, where the whole 3D pose
        was given, of normalised image points; NaN where not valid.
    valid: (...) bool.
    reason: (...) uint8, a :class:`Reason`.
    """

    position: Tensor
    condition: Tensor
    residual: Tensor
    valid: Tensor
    reason: Tensor

    @property
    def depth(self) -> Tensor:
        """(...) depth of the wrist."""
        return self.position[..., 2]


def checked_solution(
    position: Tensor, condition: Tensor, residual: Tensor, checks: Sequence[tuple[Tensor, Reason]]
) -> RootSolution:
    """The solution, with the first reason against it (failed (...), reason), and NaN where there is one."""
    reason = torch.full(condition.shape, Reason.OK, dtype=torch.uint8, device=condition.device)
    for failed, why in reversed(checks):
        reason = torch.where(failed, torch.full_like(reason, why), reason)
    valid = reason == Reason.OK
    return RootSolution(
        torch.where(valid[..., None], position, torch.full_like(position, torch.nan)),
        torch.nan_to_num(condition, nan=torch.inf),
        torch.where(valid, residual, torch.full_like(residual, torch.nan)),
        valid,
        reason,
    )


def present_joints(weights: Tensor | None, *per_joint: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (..., n) that are zero for missing joints, and which joints are not (..., n).

    A joint is missing where its weight is not positive, or where any of ``per_joint`` (..., n, k) is not finite.
    """
    present = torch.stack(torch.broadcast_tensors(*(value.isfinite().all(-1) for value in per_joint))).all(0)
    if weights is None:
        return present.to(per_joint[0].dtype), present
    present = present & weights.isfinite() & (weights > 0)
    return torch.where(present, weights.to(per_joint[0]), torch.zeros_like(weights).to(per_joint[0])), present
