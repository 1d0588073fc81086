"""Bounded quantities: the hand's limits as tensors, and the sine bound of the diffusion + FK paper (eq. 1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.shapes import check_shape


class Bounds(NamedTuple):
    """Elementwise range of a vector; each field has the vector's shape (n,).

    Vectors of another length raise ValueError, here and in the functions below.
    """

    minimum: Tensor
    neutral: Tensor
    maximum: Tensor

    def contains(self, values: Tensor, tolerance: float = 0.0) -> Tensor:
        """Whether each vector (..., n) lies inside, as a bool tensor (...). NaN does not."""
        self._check(values)
        return ((values >= self.minimum - tolerance) & (values <= self.maximum + tolerance)).all(-1)

    def clamp(self, values: Tensor) -> Tensor:
        """The nearest vector (..., n) inside the bounds."""
        self._check(values)
        return torch.minimum(torch.maximum(values, self.minimum), self.maximum)

    def _check(self, values: Tensor) -> None:
        check_shape("bounded values", values, tuple(self.minimum.shape))


def _bounds(columns: Iterable[Iterable[float]]) -> Bounds:
    with torch.inference_mode(False):  # an inference tensor could not take part in training
        return Bounds(*(torch.tensor(tuple(values), dtype=torch.float64) for values in columns))


_ANGLES = _bounds(hand.limits())
_PROPORTIONS = _bounds(zip(*hand.PROPORTIONS, strict=True))


def angle_bounds(dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Bounds:
    """Limits of the 38 angles in ``hand.ANGLES`` order, radians. Not to be written to."""
    return Bounds(*(field.to(device, dtype) for field in _ANGLES))


def proportion_bounds(dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Bounds:
    """Limits of the 20 bone proportions in ``hand.BONES`` order, multiples of the anchor. Not to be written to."""
    return Bounds(*(field.to(device, dtype) for field in _PROPORTIONS))


def sine_bound(raw: Tensor, bounds: Bounds) -> Tensor:
    """Map unbounded outputs ``raw`` (..., n) into ``bounds`` by ``(sin(x) + 1) / 2 (max - min) + min`` (eq. 1).

    Any finite input lands inside; the clamp only removes the last bit of rounding. NaN stays NaN.
    """
    check_shape("raw", raw, tuple(bounds.minimum.shape))
    span = bounds.maximum - bounds.minimum
    return bounds.clamp((torch.sin(raw) + 1) / 2 * span + bounds.minimum)


def sine_bound_inverse(values: Tensor, bounds: Bounds) -> Tensor:
    """The ``raw`` in [-pi/2, pi/2] with ``sine_bound(raw) == values``; values outside are taken at the bound.

    A quantity whose range is a single value (the anchor bone's proportion) gives 0.
    """
    span = bounds.maximum - bounds.minimum
    fixed = span == 0
    unit = (bounds.clamp(values) - bounds.minimum) / torch.where(fixed, torch.ones_like(span), span)
    return torch.where(fixed, torch.zeros_like(values), torch.asin((2 * unit - 1).clamp(-1, 1)))
