"""Which joints of a hand are hidden behind its own flesh: bones as capsules, joints as balls, no picture drawn.

A cheap stand-in, batched over thousands of hands, for what the renderer finds exactly
(:class:`hand_pose_ros.rendering.renderer.HandTruth`), and by the same rule: a joint is visible if its own flesh is
all there is in front of it.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.shapes import check_shape
from hand_pose_ros.mesh.shape import FINGER_RADII_MM
from hand_pose_ros.mesh.template import JOINT_DEPTHS_M, SLANT

_MM: Final = 1e-3 / hand.MEAN_ANCHOR_LENGTH_M  # in anchor lengths
_FLESH_MM: Final = tuple(1e3 * SLANT * depth for depth in JOINT_DEPTHS_M)
_PALM_RADIUS_MM: Final = 12.0
_BALL_MM: Final = (22.0, *(1.1 * radius for finger in hand.FINGERS for radius in FINGER_RADII_MM[finger]))
"""Radius of the flesh around each joint: knuckles are the thickest part of a finger."""
# Flesh between joints that no bone of the skeleton runs through: knuckles, the thumb's web and ball.
# (start, end, radius in mm), each end as weights of joints.
_BETWEEN: Final = (
    ({"index_mcp": 1}, {"middle_mcp": 1}, 10.0),
    ({"middle_mcp": 1}, {"ring_mcp": 1}, 10.0),
    ({"ring_mcp": 1}, {"little_mcp": 1}, 9.5),
    ({"thumb_mcp": 1}, {"wrist": 0.35, "index_mcp": 0.65}, 10.0),
    ({"thumb_cmc": 1}, {"wrist": 0.55, "little_mcp": 0.45}, 14.0),
)
_FOREARM_RADIUS_MM: Final = 26.0
_FOREARM_ENDS: Final = (0.0, 0.35, 0.8, 1.5, 3.0)  # of its pieces: distance from the wrist in anchor lengths


def joints_visible(joints: Tensor, anchor_length: Tensor) -> Tensor:
    """(n, 21) bool: whether nothing but its own flesh is between the camera and a joint.

    Args:
        joints: (n, 21, 3) with the camera at the origin, of any unit and orientation.
        anchor_length: (n,) length of the bone wrist -> index MCP in the same unit; flesh is thick in proportion.

    Raises:
        ValueError: a wrong shape.
    """
    check_shape("joints", joints, (hand.NUM_JOINTS, 3))
    joints = joints / anchor_length[:, None, None]
    distance = joints.norm(dim=-1)
    rays = joints / distance[..., None]
    entry = _first_entry(rays, distance, joints)
    return distance - entry <= joints.new_tensor(_FLESH_MM) * _MM


def _capsules(joints: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Starts and ends (n, C, 3) and radii (C,) of the hand's flesh, in anchor lengths."""
    starts, ends, radii = _rods(joints.dtype, joints.device)
    back = torch.nn.functional.normalize(joints[:, :1] - joints[:, 5::4].mean(1, keepdim=True), dim=-1)
    forearm = joints[:, :1] + joints.new_tensor(_FOREARM_ENDS)[:, None] * back
    starts, ends = (
        torch.cat((starts @ joints, forearm[:, :-1]), 1),
        torch.cat((ends @ joints, forearm[:, 1:]), 1),
    )
    return starts, ends, radii


@cache
def _rods(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Starts and ends as weights (., 21) of joints; radii (C,) in anchor lengths, the forearm's pieces last."""
    rods = []
    for finger in hand.FINGERS:
        first = hand.JOINT_INDEX[f"{finger}_{'cmc' if finger == 'thumb' else 'mcp'}"]
        radii = FINGER_RADII_MM[finger]
        rods.append(({"wrist": 1}, {hand.JOINT_NAMES[first]: 1}, _PALM_RADIUS_MM))
        for level in range(3):
            names = hand.JOINT_NAMES[first + level], hand.JOINT_NAMES[first + level + 1]
            rods.append(({names[0]: 1}, {names[1]: 1}, (radii[level] + radii[level + 1]) / 2))
    rods += _BETWEEN
    weights = torch.zeros(2, len(rods), hand.NUM_JOINTS, dtype=dtype)
    for row, rod in enumerate(rods):
        for end in range(2):
            for name, weight in rod[end].items():
                weights[end, row, hand.JOINT_INDEX[name]] = weight
    forearm = [_FOREARM_RADIUS_MM] * (len(_FOREARM_ENDS) - 1)
    radii = torch.tensor([radius for *_, radius in rods] + forearm, dtype=dtype) * _MM
    return weights[0].to(device), weights[1].to(device), radii.to(device)


def _first_entry(rays: Tensor, distance: Tensor, joints: Tensor) -> Tensor:
    """Distance (n, 21) along each ray at which it first enters the hand before it reaches its joint.

    A capsule is met in the ball around its point nearest to the ray; every joint has a ball of its own.
    """
    starts, ends, radii = _capsules(joints)
    axis = ends - starts
    length = axis.square().sum(-1)[:, None].clamp(min=1e-9)
    along = rays @ axis.transpose(-1, -2)  # (n, 21, C)
    start_along = rays @ starts.transpose(-1, -2)
    axis_start = (axis * starts).sum(-1)[:, None]
    # The point start + s axis is nearest to the ray's line where the derivative of its squared distance is zero.
    nearest = ((along * start_along - axis_start) / (length - along.square()).clamp(min=1e-6)).clamp(0, 1)
    depth = start_along + nearest * along
    square = starts.square().sum(-1)[:, None] + nearest * (2 * axis_start + nearest * length)
    in_capsules = _entry(depth, square, radii)
    balls = joints.new_tensor(_BALL_MM) * _MM
    in_balls = _entry(rays @ joints.transpose(-1, -2), distance.square()[:, None], balls)
    return torch.minimum(distance, torch.minimum(in_capsules, in_balls))


def _entry(depth: Tensor, square: Tensor, radii: Tensor) -> Tensor:
    """(n, 21) where rays first enter balls at ``depth`` (n, 21, m) along them, at squared distance ``square``."""
    half_chord = radii.square() - square + depth.square()
    entry = depth - half_chord.clamp(min=0).sqrt()
    return torch.where((half_chord > 0) & (depth > 0), entry, torch.inf).amin(-1)
