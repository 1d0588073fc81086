"""The mirror rule that turns a right hand into a left one.

A left hand is the right hand's mirror image in the wrist's y axis, with the same value for every anatomical
angle. With ``M = diag(1, -1, 1)``, a point of the right hand's wrist frame maps to ``M p`` and a frame to
``M R M``, which is again a proper rotation.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hand_pose_ros import hand


def side_sign(side: str | Tensor, like: Tensor) -> Tensor:
    """+1 for a right hand, -1 for a left one, as a tensor of ``like``'s dtype and device.

    ``side`` is 'left', 'right', or a tensor (...) that already holds the signs, for batches of both hands.
    """
    if isinstance(side, Tensor):
        return side.to(like)
    return like.new_tensor(1.0 if hand.check_side(side) == "right" else -1.0)


def mirror_points(points: Tensor, sign: Tensor) -> Tensor:
    """Points (..., n, 3) of a right hand's wrist frame, moved to the hand of ``sign`` (...)."""
    return points * _mirror_diagonal(sign)[..., None, :]


def mirror_axes(axes: Tensor, sign: Tensor) -> Tensor:
    """Rotation axes (..., n, 3) of a right hand's joints, moved to the hand of ``sign`` (...).

    ``M R M`` of a rotation about ``a`` is the rotation by the same angle about ``det(M) M a``.
    """
    return mirror_points(axes, sign) * sign[..., None, None]


def mirror_columns(rotations: Tensor, sign: Tensor) -> Tensor:
    """``R M`` for matrices (..., 3, 3), with ``sign`` broadcast against their leading shape."""
    return rotations * _mirror_diagonal(sign)[..., None, :]


def mirror_across_camera_x(joints: Tensor, rotations: Tensor) -> tuple[Tensor, Tensor]:
    """The hand that the image flipped left to right shows: a hand of the other side (paper 2.1).

    Takes and returns joints (..., n, 3) and bone rotations (..., n, 3, 3) in the camera frame: x changes its
    sign, and the frames become ``C R M`` with ``C = diag(-1, 1, 1)``.
    """
    flip = joints.new_tensor((-1.0, 1.0, 1.0))
    other = mirror_columns(rotations, joints.new_tensor(-1.0))
    return joints * flip, flip[:, None] * other


def _mirror_diagonal(sign: Tensor) -> Tensor:
    one = torch.ones_like(sign)
    return torch.stack((one, sign, one), dim=-1)
