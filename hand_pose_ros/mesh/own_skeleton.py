"""Puts our skeleton into the rest pose of a mesh with known joints, so that our forward kinematics poses it."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.kinematics.inverse import fit_hand
from hand_pose_ros.mesh.template import HandTemplate
from hand_pose_ros.rotations import rotation_from_quaternion

_SHORT_M: Final = 1e-4


class SkeletonInMesh(NamedTuple):
    """Our skeleton in a mesh.

    template: the mesh in its rest pose, in the wrist frame. wrist: (3, 3) float64, wrist frame -> the mesh's axes.
    """

    template: HandTemplate
    wrist: Tensor


def on_our_skeleton(
    name: str,
    vertices: np.ndarray,
    faces: np.ndarray,
    weights: np.ndarray,
    joints: np.ndarray,
    regressor: np.ndarray | None = None,
) -> SkeletonInMesh:
    """Make a template whose frames follow our skeleton's conventions and lie exactly along the mesh's bones.

    Args:
        vertices: (V, 3) of a right hand at rest, metres, in any axes. faces: (F, 3). weights: (V, 21), see
            :class:`~hand_pose_ros.mesh.template.HandTemplate`. joints: (21, 3) in the same axes.
        regressor: (21, V), if there is one.

    Raises:
        ValueError: the joints are not those of a right hand, or a bone has no length.
    """
    fit = fit_hand(torch.from_numpy(joints), side="right")
    if not bool(fit.converged):
        raise ValueError("the mesh's joints are no right hand")
    rotations = fit.frames.rotations.double()
    bones = torch.from_numpy(joints[1:] - joints[[parent for parent, _ in hand.BONES]])
    lengths = bones.norm(dim=-1, keepdim=True)
    if bool((lengths < _SHORT_M).any()):
        raise ValueError("the mesh's skeleton has a bone without length")
    rotations[1:] = _least_turn(rotations[1:, :, 0], bones / lengths) @ rotations[1:]
    wrist = rotations[0].clone()
    turned = wrist.transpose(-1, -2)
    origin = torch.from_numpy(joints[0])
    template = HandTemplate(
        name=name,
        vertices=((torch.from_numpy(vertices.astype(np.float64)) - origin) @ wrist).float(),
        faces=torch.from_numpy(faces.astype(np.int64)),
        weights=torch.from_numpy(weights).float(),
        joints=((torch.from_numpy(joints) - origin) @ wrist).float(),
        rotations=(turned @ rotations).float(),
        regressor=None if regressor is None else torch.from_numpy(regressor).float(),
    )
    return SkeletonInMesh(template, wrist)


def _least_turn(start: Tensor, end: Tensor) -> Tensor:
    """Rotations (n, 3, 3) of least angle that take unit vectors (n, 3) to others (n, 3)."""
    axis = torch.linalg.cross(start, end)
    real = 1 + (start * end).sum(-1, keepdim=True)
    return rotation_from_quaternion(torch.cat((axis, real), dim=-1))
