"""The module converts positions and rotations to geometry messages.

Sub-messages are filled in place: the constructor would build their defaults as well, which takes most of the time
of a frame's messages.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3

from hand_pose_ros.rotations import quaternion_from_rotation


def quaternions(rotations: np.ndarray) -> np.ndarray:
    """Unit quaternions (..., 4), xyzw, of rotation matrices (..., 3, 3); float64."""
    return quaternion_from_rotation(torch.from_numpy(np.asarray(rotations, np.float64))).numpy()


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
