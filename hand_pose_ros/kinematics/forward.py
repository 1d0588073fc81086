"""The forward kinematics layer (diffusion + FK paper, eq. 7): angles and proportions in, joints and frames out."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from hand_pose_ros import hand
from hand_pose_ros.common.shapes import check_shapes
from hand_pose_ros.kinematics.mirror import mirror_columns, side_sign
from hand_pose_ros.rotations import rotation_from_angles

_NUM_FINGERS = len(hand.FINGERS)
_NUM_LEVELS = len(hand.LEVELS)


def _euler_columns() -> Tensor:
    """For node 1..20 and axis x, y, z: the column of the angle vector, or ``NUM_ANGLES`` for a fixed axis."""
    columns = [hand.NUM_ANGLES] * (3 * hand.NUM_BONES)
    for column, angle in enumerate(hand.ANGLES):
        columns[3 * (angle.node - 1) + angle.axis] = column
    return torch.tensor(columns)


_EULER_COLUMNS = _euler_columns()


class HandFrames(NamedTuple):
    """The posed skeleton.

    joints: (..., 21, 3), in the unit of ``anchor_length`` and the frame of ``root_rotation``.
    rotations: (..., 21, 3, 3); entry ``i`` maps the frame of the bone that ends in joint ``i`` (x along the
        bone, z dorsal) into that same frame; entry 0 is the wrist's.
    """

    joints: Tensor
    rotations: Tensor


def forward_kinematics(
    angles: Tensor,
    proportions: Tensor,
    root_rotation: Tensor | None = None,
    root_position: Tensor | None = None,
    anchor_length: float | Tensor = 1.0,
    side: str | Tensor = "right",
) -> HandFrames:
    """Pose the hand by ``R_i = R_parent R'_i`` and ``p_i = R_i o_i + p_parent`` with ``o_i = length_i x`` (eq. 7).

    Differentiable, and batched over any leading shape (...); one pass per level of the tree.

    Args:
        angles: (..., 38) radians, in ``hand.ANGLES`` order. Not clamped here: bound them first.
        proportions: (..., 20) bone lengths relative to the anchor bone, in ``hand.BONES`` order.
        root_rotation: (..., 3, 3) proper rotation, wrist frame -> output frame; identity if None.
        root_position: (..., 3) wrist in the output frame, in the unit of ``anchor_length``; origin if None.
        anchor_length: length of the bone wrist -> index MCP, a number or (...).
        side: 'left', 'right', or a tensor (...) of +1 (right) and -1 (left).

    Raises:
        ValueError: an argument has the wrong shape, or the side is unknown.
    """
    batch = check_shapes(
        ("angles", angles, (hand.NUM_ANGLES,)),
        ("proportions", proportions, (hand.NUM_BONES,)),
        ("root_rotation", root_rotation, (3, 3)),
        ("root_position", root_position, (3,)),
        ("anchor_length", anchor_length, ()),
        ("side", side, ()),
    )
    sign = None if isinstance(side, str) and side == "right" else side_sign(side, like=angles)
    root = torch.eye(3, dtype=angles.dtype, device=angles.device) if root_rotation is None else root_rotation
    if sign is not None:
        root = mirror_columns(root, sign)

    # One more column, of zeros, for the axes that a node cannot turn about.
    euler = pad(angles, (0, 1)).index_select(-1, _EULER_COLUMNS.to(angles.device))
    local = rotation_from_angles(*euler.unflatten(-1, (_NUM_FINGERS, _NUM_LEVELS, 3)).unbind(-1))
    frame = root.unsqueeze(-3)
    frames = []
    for of_level in local.unbind(-3):
        frame = frame @ of_level
        frames.append(frame)
    rotations = torch.stack(frames, dim=-3)

    lengths = proportions * _per_hand(anchor_length, proportions)
    steps = rotations[..., 0] * lengths.unflatten(-1, (_NUM_FINGERS, _NUM_LEVELS, 1))
    joints = pad(steps.cumsum(dim=-2).flatten(-3, -2), (0, 0, 1, 0))
    if root_position is not None:
        joints = joints + root_position.unsqueeze(-2)
    wrist = root.expand_as(rotations[..., 0, 0, :, :]).unsqueeze(-3)
    rotations = torch.cat((wrist, rotations.flatten(-4, -3)), dim=-3)
    if sign is not None:
        rotations = mirror_columns(rotations, sign.unsqueeze(-1))
    if joints.shape[:-2] != batch or rotations.shape[:-3] != batch:
        joints, rotations = joints.expand(*batch, -1, -1), rotations.expand(*batch, -1, -1, -1)
    return HandFrames(joints, rotations)


def _per_hand(value: float | Tensor, like: Tensor) -> Tensor | float:
    """A scalar, or a tensor (...) with a trailing axis to broadcast over bones."""
    return value.to(like).unsqueeze(-1) if isinstance(value, Tensor) else value
