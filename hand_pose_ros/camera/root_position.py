"""Solver for the root position of a relative 3D pose: the translation that best explains the image points.

Given joints P_i relative to the wrist, in the camera's orientation, the image says ``x_i (Z + Z_i) = X_i + X`` and
the same for y: linear in the translation (X, Y, Z). Gauss-Newton steps on the error start at this solution.

The error depends on the noise. If only the image points are noisy, it is the reprojection error. If the pose is
noisy too, the reprojection error favours large depths, where the joints' noise projects smaller: 10 mm of noise
put a hand 10 % too far. The error that accounts for both (as Deming's regression does) has no such bias:

    |X_i + X - x_i d_i|^2 / (d_i^2 + ratio^2),   d_i = Z + Z_i,   ratio = noise of the joints / noise of the image
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.linalg import vector_norm

from hand_pose_ros.camera.solved_root import (
    MAX_CONDITION,
    Reason,
    RootSolution,
    checked_solution,
    present_joints,
)
from hand_pose_ros.common.shapes import check_shapes

_MAX_STEPS: Final = 30  # three are usual; Huber's loss with many outliers needs more
_CONVERGED: Final = 1e-6  # size of the last step, relative to the depth
_SETTLED: Final = 1e-3  # the same, above which there is no solution
_NEAREST: Final = 0.02  # of the hand's extent: how near to the camera a step may take a joint


def root_from_pose(
    points: Tensor,
    relative_joints: Tensor,
    weights: Tensor | None = None,
    *,
    noise_ratio: float | Tensor = 0.0,
    huber_delta: float | Tensor | None = None,
    max_condition: float = MAX_CONDITION,
) -> RootSolution:
    """Minimise ``sum_i w_i rho(error_i)`` over the position of the wrist.

    Batched over any leading shape and differentiable with respect to both inputs and the weights.

    Args:
        points: (..., n, 2) undistorted normalised image points. NaN marks a missing joint.
        relative_joints: (..., n, 3) joints relative to the wrist, in the camera's orientation; in metres for a
            position in metres, or scale-normalised. NaN marks a missing joint.
        weights: (..., n), 1 if None; joints of zero (or NaN) weight are missing. Two joints are needed.
        noise_ratio: standard deviation of a joint's coordinates (unit of ``relative_joints``) divided by that of
            an image point's (normalised, that is, pixels over focal length). 0 for an exact pose; 5 mm against
            2 px at a focal length of 600 px are 1.5 m. A number, or (...).
        huber_delta: error in normalised coordinates from which a joint's pull stops growing, so that single wrong
            joints do little; a number, or (...); None for plain least squares.
        max_condition: above this a solution is not valid.

    Raises:
        ValueError: an argument has the wrong shape, huber_delta is not positive, or noise_ratio is negative.
    """
    noise_ratio = torch.as_tensor(noise_ratio).to(points)[..., None]
    if huber_delta is not None:
        huber_delta = torch.as_tensor(huber_delta).to(points)[..., None]
    _check_input(points, relative_joints, weights, noise_ratio, huber_delta)
    weights, present = present_joints(weights, points, relative_joints)
    points = torch.where(present[..., None], points, torch.zeros_like(points))
    relative_joints = torch.where(present[..., None], relative_joints, torch.zeros_like(relative_joints))

    nearest = _NEAREST * vector_norm(relative_joints.detach(), dim=-1).amax(-1, keepdim=True)
    with torch.no_grad():
        step, information = _fit_translation(
            points, relative_joints[..., :2] - points * relative_joints[..., 2:], weights
        )
        position = step
        for _ in range(_MAX_STEPS):
            view = _misfit(position, relative_joints, points, noise_ratio, nearest)
            pull = weights * _huber_factor(view.error, huber_delta) / view.scale.square()
            step, information = _fit_translation(view.image, view.error * view.scale[..., None], pull)
            position = position + step
            if not bool((vector_norm(step, dim=-1) > _CONVERGED * position[..., 2].abs()).any()):
                break
    # The solution is where the gradient is zero; one Newton step by the true second derivative, held constant,
    # leaves it there and carries its exact derivative with respect to the input.
    root_depth = position[..., 2]
    settled = vector_norm(step, dim=-1) <= _SETTLED * root_depth.abs()
    position = torch.where(settled[..., None], position, position.new_tensor((0.0, 0.0, 1.0)))
    view = _misfit(position, relative_joints, points, noise_ratio, nearest)
    gradient, hessian = _gradient_and_hessian(view, weights, huber_delta)
    identity = torch.eye(3, dtype=hessian.dtype, device=hessian.device)
    hessian = torch.where(settled[..., None, None], hessian.detach(), identity)
    newton, _ = torch.linalg.solve_ex(hessian, gradient)
    position = position - newton

    depths = relative_joints[..., 2]
    lowest = torch.where(present, depths, torch.full_like(depths, torch.inf)).amin(-1)
    error = _misfit(
        position.detach(), relative_joints.detach(), points.detach(), 0 * noise_ratio, nearest
    ).error
    residual = ((weights * error.square().sum(-1)).sum(-1) / weights.sum(-1)).sqrt().detach()
    condition = 1 / (information.sqrt() * root_depth.abs())
    settled = settled & (vector_norm(newton.detach(), dim=-1) <= _SETTLED * root_depth.abs())
    checks = (
        (present.sum(-1) < 2, Reason.TOO_FEW_JOINTS),
        (~(condition <= max_condition), Reason.ILL_CONDITIONED),
        ((root_depth <= 0) | (root_depth + lowest <= 0), Reason.BEHIND_CAMERA),
        (~settled, Reason.NO_SOLUTION),
    )
    return checked_solution(position, condition, residual, checks)


class _Misfit(NamedTuple):
    """The error of each joint at some position of the wrist.

    error: (..., n, 2) the error e = (X - x d) / scale, in normalised coordinates. scale: (..., n).
    image: (..., n, 2) the image point u, nearest to x in proportion to the noise: de/dZ = -u / scale.
    depth: (..., n) d.
    """

    error: Tensor
    scale: Tensor
    image: Tensor
    depth: Tensor


def _misfit(
    position: Tensor, relative_joints: Tensor, points: Tensor, noise_ratio: Tensor, nearest: Tensor
) -> _Misfit:
    joints = relative_joints + position[..., None, :]
    depth = torch.maximum(joints[..., 2], nearest)
    squared = depth.square() + noise_ratio.square()
    scale = squared.sqrt()
    across = joints[..., :2] - points * depth[..., None]
    image = points + across * (depth / squared)[..., None]
    return _Misfit(across / scale[..., None], scale, image, depth)


def _fit_translation(image: Tensor, right: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The (X, Y, Z) (..., 3) that minimises ``sum_i w_i |image_i Z - (X, Y) - right_i|^2``, and Z's weight (...).

    A regression line, in effect: Z is its slope, (X, Y) its intercept.
    """
    tiny = torch.finfo(image.dtype).tiny
    share = (weights / weights.sum(-1, keepdim=True).clamp(min=tiny))[..., None]
    image_mean, right_mean = (share * image).sum(-2), (share * right).sum(-2)
    spread = image - image_mean[..., None, :]
    information = (weights[..., None] * spread.square()).sum((-2, -1))
    covariance = (weights[..., None] * spread * (right - right_mean[..., None, :])).sum((-2, -1))
    z = (covariance / information.clamp(min=tiny))[..., None]
    return torch.cat((image_mean * z - right_mean, z), dim=-1), information


def _gradient_and_hessian(
    misfit: _Misfit, weights: Tensor, huber_delta: Tensor | None
) -> tuple[Tensor, Tensor]:
    """First (..., 3) and second (..., 3, 3) derivative of half the loss with respect to the position."""
    error, scale, image, depth = misfit
    factor = _huber_factor(error, huber_delta)
    x, y = image.unbind(-1)
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    jacobian = torch.stack((one, zero, -x, zero, one, -y), dim=-1).unflatten(-1, (2, 3))
    jacobian = jacobian / scale[..., None, None]
    slope = (error[..., None, :] @ jacobian).squeeze(-2)
    pull = weights * factor
    gradient = (pull[..., None] * slope).sum(-2)

    side = -error * (depth / scale.pow(3))[..., None]
    squared = error.square().sum(-1)
    corner = (2 * depth * (error * image).sum(-1) + squared * (depth.square() / scale - scale)) / scale.pow(3)
    bend = torch.stack(
        (zero, zero, side[..., 0], zero, zero, side[..., 1], side[..., 0], side[..., 1], corner), dim=-1
    )
    second = jacobian.transpose(-1, -2) @ jacobian + bend.unflatten(-1, (3, 3))
    if huber_delta is not None:  # beyond delta the loss is a cone: no curvature along the error
        flat = torch.where(factor < 1, 1 / torch.maximum(squared, huber_delta.square()), zero)
        second = second - flat[..., None, None] * slope[..., :, None] * slope[..., None, :]
    return gradient, (pull[..., None, None] * second).sum(-3)


def _huber_factor(error: Tensor, delta: Tensor | None) -> Tensor:
    """(..., n) factors on the weights that turn least squares into Huber's loss, of errors (..., n, 2)."""
    if delta is None:
        return torch.ones_like(error[..., 0])
    least = delta.square()
    return (least / torch.maximum(error.square().sum(-1), least)).sqrt()


def _check_input(
    points: Tensor,
    relative_joints: Tensor,
    weights: Tensor | None,
    noise_ratio: Tensor,
    huber_delta: Tensor | None,
) -> None:
    if points.ndim < 2 or points.shape[-1] != 2 or points.shape[-2] == 0:
        raise ValueError(f"points must have shape (..., n, 2) with n > 0, got {tuple(points.shape)}")
    count = points.shape[-2]
    check_shapes(
        ("points", points, (count, 2)),
        ("relative_joints", relative_joints, (count, 3)),
        ("weights", weights, (count,)),
    )
    if not bool(((noise_ratio >= 0) & noise_ratio.isfinite()).all()):
        raise ValueError(f"noise_ratio must be zero or positive, and finite, got {noise_ratio.tolist()}")
    if huber_delta is not None and not bool((huber_delta > 0).all()):
        raise ValueError(f"huber_delta must be positive, got {huber_delta.tolist()}")
