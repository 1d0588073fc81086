"""The module converts positions and rotations to geometry messages.

Sub-messages are filled in place: the constructor would build their defaults as well, which takes most of the time
of a frame's messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3

# 4 q q^T of a quaternion q in xyzw order, as a linear function of the nine elements of its rotation, and of one.
_XX, _XY, _XZ, _YX, _YY, _YZ, _ZX, _ZY, _ZZ, _ONE = np.eye(10)
_PRODUCTS: Final = np.array(
    (
        _ONE + _XX - _YY - _ZZ, _XY + _YX, _XZ + _ZX, _ZY - _YZ,
        _XY + _YX, _ONE + _YY - _XX - _ZZ, _YZ + _ZY, _XZ - _ZX,
        _XZ + _ZX, _YZ + _ZY, _ONE + _ZZ - _XX - _YY, _YX - _XY,
        _ZY - _YZ, _XZ - _ZX, _YX - _XY, _ONE + _XX + _YY + _ZZ,
    )
).T  # fmt: skip


def quaternions(rotations: np.ndarray) -> np.ndarray:
    """Unit quaternions (..., 4), xyzw with w >= 0, of rotation matrices (..., 3, 3); float64."""
    matrices = np.asarray(rotations, np.float64)
    products = matrices.reshape(-1, 9) @ _PRODUCTS[:9] + _PRODUCTS[9]
    rows = products.reshape(-1, 4, 4)
    best = rows[
        np.arange(len(rows)), products[:, ::5].argmax(-1)
    ]  # of the largest element: the least rounding
    best = best / np.sqrt((best * best).sum(-1, keepdims=True))
    return np.where(best[:, 3:] < 0, -best, best).reshape(*matrices.shape[:-2], 4)


def fill(
    position: Point | Vector3, orientation: Quaternion, xyz: Sequence[float], xyzw: Sequence[float]
) -> None:
    """Write a position and an orientation into messages."""
    position.x, position.y, position.z = xyz
    orientation.x, orientation.y, orientation.z, orientation.w = xyzw


def poses(positions_m: np.ndarray, orientations: np.ndarray) -> list[Pose]:
    """Pose messages of positions (n, 3) and quaternions (n, 4), xyzw."""
    result = []
    for xyz, xyzw in zip(positions_m.tolist(), orientations.tolist(), strict=True):
        pose = Pose()
        fill(pose.position, pose.orientation, xyz, xyzw)
        result.append(pose)
    return result


def points(positions_m: np.ndarray) -> list[Point]:
    """Point messages of positions (n, 3)."""
    return [Point(x=x, y=y, z=z) for x, y, z in positions_m.tolist()]
