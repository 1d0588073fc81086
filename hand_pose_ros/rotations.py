"""Rotation matrices from Euler angles, from nine free numbers (SVD orthogonalisation), and small rotations.

Everything is batched over any leading shape and differentiable, and raises ValueError for a wrong shape. Matrices
map coordinates of the rotated frame into the frame it is rotated in (``R_a_b``).
"""

from __future__ import annotations

import torch
from torch import Tensor

from hand_pose_ros.common.shapes import check_shape

# A 4x4 matrix is squared 6 x 4 times, which resolves eigenvalues that differ by 1e-7 of the largest; four at a
# time without a division, because its trace falls from 1 to no less than 4^-15 then.
_NORMALISATIONS, _SQUARINGS = 6, 4


def rotation_from_angles(twist: Tensor, flexion: Tensor, abduction: Tensor) -> Tensor:
    """``Ry(flexion) @ Rz(abduction) @ Rx(twist)`` for angles (...) in radians, as (..., 3, 3).

    The map phi of the diffusion + FK paper (2.6.1), with the axis order of :mod:`hand_pose_ros.hand`.
    """
    sin_t, cos_t = torch.sin(twist), torch.cos(twist)
    sin_f, cos_f = torch.sin(flexion), torch.cos(flexion)
    sin_a, cos_a = torch.sin(abduction), torch.cos(abduction)
    elements = (
        cos_f * cos_a, sin_f * sin_t - cos_f * sin_a * cos_t, cos_f * sin_a * sin_t + sin_f * cos_t,
        sin_a, cos_a * cos_t, -cos_a * sin_t,
        -sin_f * cos_a, sin_f * sin_a * cos_t + cos_f * sin_t, cos_f * cos_t - sin_f * sin_a * sin_t,
    )  # fmt: skip
    return torch.stack(elements, dim=-1).unflatten(-1, (3, 3))


def angles_from_rotation(rotation: Tensor) -> Tensor:
    """(twist, flexion, abduction) (..., 3) in radians with ``rotation_from_angles(*angles) == rotation``.

    Abduction lies in [-pi/2, pi/2]; at its ends only the sum or difference of the other two is determined.
    """
    check_shape("rotation", rotation, (3, 3))
    abduction = torch.asin(rotation[..., 1, 0].clamp(-1, 1))
    flexion = torch.atan2(-rotation[..., 2, 0], rotation[..., 0, 0])
    twist = torch.atan2(-rotation[..., 1, 2], rotation[..., 1, 1])
    return torch.stack((twist, flexion, abduction), dim=-1)


def skew(vector: Tensor) -> Tensor:
    """Cross-product matrix (..., 3, 3) of ``vector`` (..., 3): ``skew(a) @ b == cross(a, b)``."""
    check_shape("vector", vector, (3,))
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), dim=-1).unflatten(-1, (3, 3))


def rotation_from_vector(vector: Tensor) -> Tensor:
    """Rotation (..., 3, 3) about ``vector`` (..., 3) by its length in radians (Rodrigues), smooth at zero."""
    check_shape("vector", vector, (3,))
    angle_squared = (vector * vector).sum(-1)[..., None, None]
    small = angle_squared < 1e-8
    safe = torch.where(small, torch.ones_like(angle_squared), angle_squared)
    angle = safe.sqrt()
    sine_term = torch.where(small, 1 - angle_squared / 6, torch.sin(angle) / angle)
    cosine_term = torch.where(small, 0.5 - angle_squared / 24, (1 - torch.cos(angle)) / safe)
    generator = skew(vector)
    identity = torch.eye(3, dtype=vector.dtype, device=vector.device)
    return identity + sine_term * generator + cosine_term * (generator @ generator)


def vector_from_rotation(rotation: Tensor) -> Tensor:
    """Rotation vectors (..., 3), of length at most pi, of rotation matrices (..., 3, 3)."""
    quaternion = quaternion_from_rotation(rotation)
    axis, real = quaternion[..., :3], quaternion[..., 3:]
    sine = axis.norm(dim=-1, keepdim=True)
    small = sine < 1e-6
    factor = 2 * torch.atan2(sine, real) / torch.where(small, torch.ones_like(sine), sine)
    return axis * torch.where(small, torch.full_like(sine, 2.0), factor)


def quaternion_from_rotation(rotation: Tensor) -> Tensor:
    """Unit quaternions (..., 4) in xyzw order with w >= 0, of rotation matrices (..., 3, 3)."""
    check_shape("rotation", rotation, (3, 3))
    quaternion = _dominant_column(
        _profile_matrix(rotation) / 4 + torch.eye(4, dtype=rotation.dtype, device=rotation.device) / 4
    )
    return torch.where(quaternion[..., 3:] < 0, -quaternion, quaternion)


def rotation_from_quaternion(quaternion: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of quaternions (..., 4) in xyzw order, normalised here."""
    check_shape("quaternion", quaternion, (4,))
    x, y, z, w = (quaternion / quaternion.norm(dim=-1, keepdim=True)).unbind(-1)
    elements = (
        1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),
        2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
        2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y),
    )  # fmt: skip
    return torch.stack(elements, dim=-1).unflatten(-1, (3, 3))


def orthogonalise(matrix: Tensor) -> Tensor:
    """The proper rotation nearest to ``matrix`` (..., 3, 3): SVD orthogonalisation (paper 2.2) for 9D outputs.

    Equal to ``U diag(1, 1, det(U V^T)) V^T`` of the SVD, but built from products and sums only, so that it
    exports to ONNX, compiles, and stays on the device. It maximises ``trace(R^T M)``, which over unit
    quaternions is the dominant eigenvector of a symmetric 4x4 matrix; that is found by repeated squaring,
    which ends in a unit quaternion for any finite input of any size: zero gives the identity, reflected and
    rank-deficient matrices give one of their nearest rotations. NaN or infinity in gives NaN out. Gradients
    (first derivatives only) are exact where the nearest rotation is unique and are damped, hence finite, where
    it is not.

    Raises:
        ValueError: the shape is not (..., 3, 3); nine numbers in a row are unflattened by the caller.
    """
    check_shape("matrix", matrix, (3, 3))
    tiny = torch.finfo(matrix.dtype).tiny
    # By the largest element first: the squares in the norm of 1e30 or 1e-30 do not exist in float32.
    largest = matrix.detach().abs().amax((-2, -1), keepdim=True)
    scaled = matrix.detach() / largest.clamp(min=tiny)
    norm = torch.linalg.matrix_norm(scaled, keepdim=True).clamp(min=1)
    rotation = rotation_from_quaternion(_nearest_quaternion(scaled / norm))
    if not (torch.is_grad_enabled() and matrix.requires_grad):
        return rotation
    # Where R maximises trace(R^T M), S = R^T M is symmetric, and a change of M turns R by w with
    # (trace(S) I - S) w = vee(S - S^T). At w = 0 this adds nothing but the derivative. The rotation does not
    # depend on the scale, so that is a constant here; its floor keeps the derivative at zero finite.
    aligned = rotation.transpose(-1, -2) @ (matrix / (largest * norm).clamp(min=tiny**0.5))
    turn = (_damped_inverse(aligned.detach()) @ _vee(aligned)[..., None])[..., 0]
    correction = rotation @ skew(turn)
    return rotation + (correction - correction.detach())


def _profile_matrix(matrix: Tensor) -> Tensor:
    """The symmetric K (..., 4, 4) with ``q^T K q == trace(R(q)^T M)`` for unit quaternions q in xyzw order."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (row.unbind(-1) for row in matrix.unbind(-2))
    elements = (
        xx - yy - zz, xy + yx, xz + zx, zy - yz,
        xy + yx, yy - xx - zz, yz + zy, xz - zx,
        xz + zx, yz + zy, zz - xx - yy, yx - xy,
        zy - yz, xz - zx, yx - xy, xx + yy + zz,
    )  # fmt: skip
    return torch.stack(elements, dim=-1).unflatten(-1, (4, 4))


def _nearest_quaternion(unit: Tensor) -> Tensor:
    """Dominant eigenvector (..., 4) of the profile matrix of ``unit`` (..., 3, 3), a matrix of norm <= 1."""
    # Eigenvalues of K lie within +-sqrt(3); the shift makes them positive, and prefers the identity for M = 0.
    identity = torch.eye(4, dtype=unit.dtype, device=unit.device)
    power = _profile_matrix(unit) + 2 * identity
    power = power + torch.diag(identity[3]) * (4 * torch.finfo(unit.dtype).eps)
    for _ in range(_NORMALISATIONS):
        power = power / power.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
        for _ in range(_SQUARINGS):
            power = power @ power
    return _dominant_column(power)


def _dominant_column(matrix: Tensor) -> Tensor:
    """The longest column of a symmetric positive matrix (..., 4, 4), as a unit vector (..., 4)."""
    best = matrix.diagonal(dim1=-2, dim2=-1).argmax(-1)[..., None, None].expand(*matrix.shape[:-1], 1)
    column = matrix.gather(-1, best)[..., 0]
    return column / column.norm(dim=-1, keepdim=True)


def _vee(matrix: Tensor) -> Tensor:
    """The vector (..., 3) of ``matrix - matrix^T`` (..., 3, 3)."""
    return torch.stack(
        (
            matrix[..., 2, 1] - matrix[..., 1, 2],
            matrix[..., 0, 2] - matrix[..., 2, 0],
            matrix[..., 1, 0] - matrix[..., 0, 1],
        ),
        dim=-1,
    )


def _damped_inverse(aligned: Tensor, damping: float = 1e-3) -> Tensor:
    """Damped inverse of ``trace(S) I - S`` (..., 3, 3), whose eigenvalues are sums of two singular values."""
    identity = torch.eye(3, dtype=aligned.dtype, device=aligned.device)
    symmetric = (aligned + aligned.transpose(-1, -2)) / 2
    trace = symmetric.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    system = trace * identity - symmetric
    return _inverse_3x3(system @ system + damping**2 * identity) @ system


def _inverse_3x3(matrix: Tensor) -> Tensor:
    """Inverse (..., 3, 3) by cofactors: elementwise only, for ONNX and for speed on small matrices."""
    row0, row1, row2 = matrix.unbind(-2)
    cofactors = torch.stack(
        (torch.linalg.cross(row1, row2), torch.linalg.cross(row2, row0), torch.linalg.cross(row0, row1)),
        dim=-1,
    )
    return cofactors / (row0 * cofactors[..., :, 0]).sum(-1)[..., None, None]
