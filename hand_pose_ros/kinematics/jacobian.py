"""The analytic Jacobian of the posed joints with respect to everything the inverse kinematics solves for."""

from __future__ import annotations

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.kinematics.forward import HandFrames

ANGLE_COLUMNS = slice(0, hand.NUM_ANGLES)
LENGTH_COLUMNS = slice(hand.NUM_ANGLES, hand.NUM_ANGLES + hand.NUM_BONES)
SCALE_COLUMN = hand.NUM_ANGLES + hand.NUM_BONES
ROTATION_COLUMNS = slice(SCALE_COLUMN + 1, SCALE_COLUMN + 4)
POSITION_COLUMNS = slice(SCALE_COLUMN + 4, SCALE_COLUMN + 7)
NUM_COLUMNS = SCALE_COLUMN + 7
"""38 angles, 20 logarithms of proportions, the logarithm of the anchor length, root rotation, root position."""

_ANGLE_NODES = torch.tensor([angle.node for angle in hand.ANGLES])
_ANGLE_PARENTS = torch.tensor([hand.PARENTS[angle.node] for angle in hand.ANGLES])
_FLEXIONS = [i for i, angle in enumerate(hand.ANGLES) if angle.motion == "flexion"]
_ABDUCTIONS = [i for i, angle in enumerate(hand.ANGLES) if angle.motion == "abduction"]
_TWISTS = [i for i, angle in enumerate(hand.ANGLES) if angle.motion == "twist"]
_ABDUCTION_FLEXIONS = [
    hand.ANGLE_INDEX[hand.ANGLES[i].name.replace("abduction", "flexion")] for i in _ABDUCTIONS
]


def _moves() -> Tensor:
    """(20, 21): whether the bone that ends in node ``b + 1`` carries joint ``j``."""
    carries = torch.zeros(hand.NUM_BONES, hand.NUM_JOINTS)
    for joint in range(1, hand.NUM_JOINTS):
        node = joint
        while node > 0:
            carries[node - 1, joint] = 1.0
            node = hand.PARENTS[node]
    return carries


_MOVES = _moves()


def joint_jacobian(angles: Tensor, frames: HandFrames) -> Tensor:
    """Derivative (..., 21, 3, 65) of the joints of a *right* hand, with the columns named in this module.

    Args:
        angles: (..., 38) radians, the angles that ``frames`` was posed with.
        frames: joints (..., 21, 3) and bone rotations (..., 21, 3, 3).

    The root rotation's columns are a small rotation about the axes of the output frame, applied from the left.
    """
    joints, rotations = frames
    moves = _MOVES.to(joints)

    axes = torch.empty(*angles.shape, 3, dtype=joints.dtype, device=joints.device)
    parent_rotations = rotations[..., _ANGLE_PARENTS, :, :]
    axes[..., _FLEXIONS, :] = parent_rotations[..., _FLEXIONS, :, 1]
    # Abduction turns about the z axis that flexion has already tilted: Ry(f) z = (sin f, 0, cos f).
    flexion = angles[..., _ABDUCTION_FLEXIONS, None]
    tilted = parent_rotations[..., _ABDUCTIONS, :, :]
    axes[..., _ABDUCTIONS, :] = flexion.sin() * tilted[..., 0] + flexion.cos() * tilted[..., 2]
    axes[..., _TWISTS, :] = rotations[..., _ANGLE_NODES[_TWISTS], :, 0]
    levers = joints[..., None, :, :] - joints[..., _ANGLE_PARENTS, None, :]
    of_angles = torch.linalg.cross(axes[..., None, :].expand_as(levers), levers)
    of_angles = of_angles * moves[_ANGLE_NODES - 1, :, None]

    bones = joints[..., 1:, :] - joints[..., list(hand.PARENTS[1:]), :]
    of_lengths = bones[..., None, :] * moves[..., None]

    arms = joints - joints[..., :1, :]
    identity = torch.eye(3, dtype=joints.dtype, device=joints.device)
    of_rotation = torch.linalg.cross(
        identity[:, None, :].expand(*arms.shape[:-2], 3, hand.NUM_JOINTS, 3),
        arms[..., None, :, :].expand(*arms.shape[:-2], 3, hand.NUM_JOINTS, 3),
    )
    of_position = identity[:, None, :].expand_as(of_rotation)
    columns = (of_angles, of_lengths, arms[..., None, :, :], of_rotation, of_position)
    return torch.cat(columns, dim=-3).movedim(-3, -1)
