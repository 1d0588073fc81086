"""Rigid poses of the wrist and their difference as a motion."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from hand_pose_ros.common.shapes import Array


class RigidPose(NamedTuple):
    """A frame b in a frame a, ``T_a_b``: position_m (3,), rotation (3, 3), b-coordinates -> a-coordinates."""

    position_m: Array
    rotation: Array

    def __matmul__(self, other: RigidPose) -> RigidPose:  # pyright: ignore[reportIncompatibleMethodOverride]
        """``T_a_b @ T_b_c = T_a_c``."""
        return RigidPose(self.position_m + self.rotation @ other.position_m, self.rotation @ other.rotation)

    @property
    def quaternion(self) -> Array:
        """(4,) xyzw."""
        return _rotation(self.rotation).as_quat()

    @classmethod
    def from_quaternion(cls, position_m: Array, xyzw: Array) -> RigidPose:
        """The pose of a position (3,) and a quaternion (4,) xyzw, normalised here.

        Raises:
            ValueError: a number is not finite, or the quaternion is zero.
        """
        position, quaternion = np.asarray(position_m, np.float64), np.asarray(xyzw, np.float64)
        if not (np.isfinite(position).all() and np.isfinite(quaternion).all()):
            raise ValueError("a pose has numbers that are not finite")
        return cls(position, Rotation.from_quat(quaternion).as_matrix())


IDENTITY = RigidPose(np.zeros(3), np.eye(3))


def _rotation(matrix: Array) -> Any:
    """SciPy's rotation of a matrix (3, 3); its stubs leave the type unknown."""
    return Rotation.from_matrix(matrix)


def rotation_vector(start: Array, end: Array) -> Array:
    """The rotation (3,) in radians, about axes of the common frame, that takes matrix ``start`` to ``end``."""
    return _rotation(end @ start.T).as_rotvec()


def turned(matrix: Array, vector_rad: Array) -> Array:
    """``matrix`` (3, 3) turned by the rotation vector (3,) about axes of the common frame."""
    return Rotation.from_rotvec(vector_rad).as_matrix() @ matrix
