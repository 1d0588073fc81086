"""Brings fingertips together that should touch, and pushes fingers apart that pass through each other."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds
from hand_pose_ros.synthetic.poses.clearance import overlap

TOUCHING: Final = 0.14
"""Distance of two bones' axes where their skins touch, in anchor lengths (12 mm)."""

_FINGER_GAP, _PALM_GAP = 0.14, 0.18
_SPREAD_DEG = 12.0  # an angle may move so far from where the rule put it
_STEP_RAD = 0.02
_WEIGHT_CONTACT, _WEIGHT_OVERLAP, _WEIGHT_POSE = 400.0, 100.0, 0.05


def bone_points(joints: Tensor) -> Tensor:
    """The ends (node 1 to 20), then the middles of the 20 bones: (n, 40, 3) of joints (n, 21, 3)."""
    ends = joints[:, 1:]
    return torch.cat((ends, (ends + joints[:, hand.PARENTS[1:]]) / 2), dim=1)


def settle(angles: Tensor, proportions: Tensor, contacts: Tensor, rounds: int = 150) -> Tensor:
    """Move the fingers as little as it takes for contacts to touch and for fingers not to overlap.

    Args:
        angles: (n, 38) radians. proportions: (n, 20).
        contacts: (n, c, 2) points of :func:`bone_points` that should touch; -1 for none.
        rounds: steps of gradient descent (Adam).

    Returns:
        (n, 38) radians within the limits; offset angles are as given.
    """
    bounds = angle_bounds()
    start = bounds.clamp(angles)
    wanted = (contacts >= 0).all(-1).to(angles)
    index = contacts.clamp(min=0).flatten(1)
    moving = start[:, : hand.NUM_ARTICULATION].clone().requires_grad_()
    optimiser = torch.optim.Adam([moving], lr=_STEP_RAD)
    spread = torch.deg2rad(torch.tensor(_SPREAD_DEG))

    def current() -> Tensor:
        return bounds.clamp(torch.cat((moving, start[:, hand.NUM_ARTICULATION :]), dim=-1))

    for _ in range(rounds):
        joints = forward_kinematics(current(), proportions).joints
        touching = bone_points(joints).gather(1, index[..., None].expand(-1, -1, 3)).unflatten(1, (-1, 2))
        distance = (touching[:, :, 0] - touching[:, :, 1]).square().sum(-1).clamp(min=1e-8).sqrt()
        loss = (
            _WEIGHT_CONTACT * (wanted * (distance - TOUCHING).square()).sum()
            + _WEIGHT_OVERLAP * overlap(joints, _FINGER_GAP, _PALM_GAP).square().sum()
            + _WEIGHT_POSE * ((moving - start[:, : hand.NUM_ARTICULATION]) / spread).square().sum()
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return current().detach()
