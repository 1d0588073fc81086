"""Gauss-Newton steps from an estimated hand towards its image points, with a normal prior on the correction.

The unknowns are corrections of the 38 angles and of the root rotation, and the position of the wrist. Proportions
and size stay. The minimum of

    (c - m)^T P^-1 (c - m) + sum_i rho(|project(joint_i) - point_i|^2 / sigma_i^2)

is the maximum a-posteriori correction c for a prior of mean m and covariance P; rho is Huber's. The wrist has no
prior: the placement solves it again.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.estimator.placement import rotation_vectors
from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics
from hand_pose_ros.kinematics.jacobian import ANGLE_COLUMNS, ROTATION_COLUMNS, joint_jacobian
from hand_pose_ros.kinematics.limits import angle_bounds
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.rotations import rotation_from_vector

CORRECTIONS: Final = hand.NUM_ANGLES + 3
"""Number of corrected values: the angles, then a small rotation about the view's axes, rad."""
_HUBER: Final = 3.0  # standard deviations from which the pull of an image point stops growing
_NEAREST: Final = 0.3  # anchor lengths: joints are projected as if no nearer to the camera
_WRIST_PRECISION: Final = 1e-4  # 1 / square anchor length: keeps the system solvable


class Correction(NamedTuple):
    """Corrected hands, fields (n, ...), with the correction (n, 41) and its posterior covariance (n, 41, 41)."""

    hands: HandParameters
    value: Tensor
    covariance: Tensor


def hypotheses_covariance(
    hands: HandParameters, samples: HandParameters, weights: Tensor, spread_scale: float
) -> Tensor:
    """Return the second moments (n, 41, 41) of the samples' angles and rotations about the hands'.

    Args:
        samples: fields (n, S, ...). weights: (n, S), summing to 1. spread_scale: factor on the samples' spread.
    """
    angles = samples.angles - hands.angles[:, None]
    turns = rotation_vectors(samples.rotation, hands.rotation[:, None])
    deviations = spread_scale * torch.cat((angles, turns), dim=-1)
    return (weights[..., None] * deviations).mT @ deviations


def corrected(
    hands: HandParameters,
    mean: Tensor,
    covariance: Tensor,
    points: Tensor,
    half_extent: Tensor,
    sigma: Tensor,
    steps: int = 1,
) -> Correction:
    """Return hands nearer to their image points, inside the limits of the angles.

    All of one floating-point type, float64 for a well-conditioned solution.

    Args:
        hands: n right hands of anchor length 1 in their views.
        mean: (n, 41) of the prior, and its covariance (n, 41, 41), positive definite.
        points: (n, 21, 2) in the view, in multiples of ``half_extent`` (n,); NaN where missing.
        sigma: (n, 21) standard deviation of each coordinate of a point, in half extents.
        steps: Gauss-Newton steps.

    Returns:
        The corrections. A hand whose system cannot be solved keeps the prior's mean.
    """
    bounds = angle_bounds(hands.angles.dtype, hands.angles.device)
    known = points.isfinite().all(-1)
    image = torch.where(known[..., None], points, torch.zeros_like(points)) * half_extent[:, None, None]
    sigma = sigma * half_extent[:, None]
    weights = known / sigma.square()
    value = _inside(hands, mean, bounds.minimum, bounds.maximum)
    now = _posed(hands, value)
    wrist = _linear_wrist(image, now.joints, weights)
    precision = torch.cholesky_inverse(torch.linalg.cholesky_ex(covariance).L)
    posterior = covariance
    for _ in range(steps):
        of_joints = _jacobian(now)
        placed = now.joints + wrist[:, None]
        depth = placed[..., 2:].clamp(min=_NEAREST)
        projected = placed[..., :2] / depth
        jacobian = (of_joints[..., :2, :] - projected[..., None] * of_joints[..., 2:, :]) / depth[..., None]
        residual = projected - image
        multiple = residual.norm(dim=-1) / sigma
        pull = weights * (_HUBER / multiple.clamp(min=_HUBER))
        weighted = (jacobian * pull[..., None, None]).flatten(1, 2)
        hessian = jacobian.flatten(1, 2).mT @ weighted
        gradient = (weighted.mT @ residual.flatten(1)[..., None]).squeeze(-1)
        hessian[:, :CORRECTIONS, :CORRECTIONS] += precision
        hessian[:, CORRECTIONS:, CORRECTIONS:] += _WRIST_PRECISION * torch.eye(3).to(hessian)
        gradient[:, :CORRECTIONS] += (precision @ (value - mean)[..., None]).squeeze(-1)
        factor, failed = torch.linalg.cholesky_ex(hessian)
        step = -torch.cholesky_solve(gradient[..., None], factor).squeeze(-1)
        solved = (failed == 0) & step.isfinite().all(-1)
        step = torch.where(solved[:, None], step, torch.zeros_like(step))
        value = _inside(hands, value + step[:, :CORRECTIONS], bounds.minimum, bounds.maximum)
        wrist = wrist + step[:, CORRECTIONS:]
        now = _posed(hands, value)
        of_solution = torch.cholesky_inverse(factor)[:, :CORRECTIONS, :CORRECTIONS]
        posterior = torch.where(solved[:, None, None], of_solution, posterior)
    return Correction(now, value, posterior)


def _inside(hands: HandParameters, value: Tensor, minimum: Tensor, maximum: Tensor) -> Tensor:
    """Return corrections (n, 41) that keep the angles inside their limits."""
    angles = hands.angles + value[:, : hand.NUM_ANGLES]
    angles = torch.minimum(torch.maximum(angles, minimum), maximum)
    return torch.cat((angles - hands.angles, value[:, hand.NUM_ANGLES :]), dim=-1)


def _posed(hands: HandParameters, value: Tensor) -> HandParameters:
    angles = hands.angles + value[:, : hand.NUM_ANGLES]
    rotation = rotation_from_vector(value[:, hand.NUM_ANGLES :]) @ hands.rotation
    frames = forward_kinematics(angles, hands.proportions, rotation)
    return HandParameters(angles, hands.proportions, rotation, *frames)


def _jacobian(hands: HandParameters) -> Tensor:
    """Derivative (n, 21, 3, 44) of the joints with respect to the corrections and the wrist."""
    every = joint_jacobian(hands.angles, HandFrames(hands.joints, hands.rotations))
    wrist = torch.eye(3).to(every).expand(*every.shape[:-2], 3, 3)
    return torch.cat((every[..., ANGLE_COLUMNS], every[..., ROTATION_COLUMNS], wrist), dim=-1)


def _linear_wrist(image: Tensor, relative: Tensor, weights: Tensor) -> Tensor:
    """Return the wrists (n, 3) that best satisfy ``x (Z + z) = X + x'`` for joints relative to them (n, 21, 3)."""
    weights = weights[..., None]
    total = weights.sum(1)
    right = image * relative[..., 2:] - relative[..., :2]
    image_mean, right_mean = (weights * image).sum(1) / total, (weights * right).sum(1) / total
    spread = image - image_mean[:, None]
    depth = -(weights * spread * (right - right_mean[:, None])).sum((1, 2)) / (weights * spread.square()).sum(
        (1, 2)
    )
    return torch.cat((right_mean + image_mean * depth[:, None], depth[:, None]), dim=-1)
