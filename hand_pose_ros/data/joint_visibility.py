"""Which joints of a hand are hidden behind its own flesh: bones as capsules, joints as balls, no picture drawn.

A cheap stand-in, batched over thousands of hands, for what the renderer finds exactly
(:class:`hand_pose_ros.rendering.renderer.HandTruth`), and by the same rule: a joint is visible if its own flesh is
all there is in front of it.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.mesh.shape import FINGER_RADII_MM
from hand_pose_ros.shapes import check_shape

_MM: Final = 1e-3 / hand.MEAN_ANCHOR_LENGTH_M  # in anchor lengths
# Flesh (mm) that may lie in front of a visible joint along the ray, as the renderer has it.
_FLESH_MM: Final = (30, 27, 21, 18, 15) + (22.5, 16.5, 15, 13.5) * 4
_PALM_RADIUS_MM: Final = 11.0
_MCP_RADIUS_MM: Final = 10.0
_FOREARM_RADIUS_MM: Final = 20.0
_FOREARM_LENGTH: Final = 1.5  # anchor lengths


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
    starts, ends, radii = _capsules(joints)
    distance = joints.norm(dim=-1)
    rays = joints / distance[..., None]
    entry = _first_entry(rays, distance, starts, ends, radii)
    return distance - entry <= joints.new_tensor(_FLESH_MM) * _MM


def _capsules(joints: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Starts and ends (n, C, 3) and radii (C,) of the hand's flesh, in anchor lengths."""
    parents = torch.tensor(hand.PARENTS[1:], device=joints.device)
    starts, ends = joints[:, parents], joints[:, 1:]
    radii = []
    for finger in hand.FINGERS:
        of_finger = FINGER_RADII_MM[finger]
        radii.append(_PALM_RADIUS_MM)
        radii += [(of_finger[k] + of_finger[k + 1]) / 2 for k in range(3)]
    mcps = joints[:, 5::4]
    across = mcps[:, :-1], mcps[:, 1:]
    # The web between thumb and index finger, and the forearm, straight behind the palm.
    web = joints[:, 2:3], (joints[:, :1] + 2 * joints[:, 5:6]) / 3
    back = torch.nn.functional.normalize(joints[:, :1] - mcps.mean(1, keepdim=True), dim=-1)
    forearm = joints[:, :1] + 0.15 * back, joints[:, :1] + _FOREARM_LENGTH * back
    radii += [_MCP_RADIUS_MM] * 3 + [9.0, _FOREARM_RADIUS_MM]
    starts = torch.cat((starts, across[0], web[0], forearm[0]), dim=1)
    ends = torch.cat((ends, across[1], web[1], forearm[1]), dim=1)
    return starts, ends, joints.new_tensor(radii) * _MM


def _first_entry(rays: Tensor, distance: Tensor, starts: Tensor, ends: Tensor, radii: Tensor) -> Tensor:
    """Distance (n, 21) along each ray at which it first enters a capsule before it reaches its joint.

    Each capsule is met in the balls around three of its points: both ends, and the point nearest to the ray.
    """
    axis = ends - starts
    length = axis.square().sum(-1).clamp(min=1e-9)
    along = rays @ axis.transpose(-1, -2)  # (n, 21, C)
    start_along = rays @ starts.transpose(-1, -2)
    axis_start = (axis * starts).sum(-1)[:, None]
    # The point start + s axis is nearest to the ray's line where the derivative of its squared distance is zero.
    across = (length[:, None] - along.square()).clamp(min=1e-6)
    nearest = ((along * start_along - axis_start) / across).clamp(0, 1)
    start_square = starts.square().sum(-1)[:, None]
    entry = distance
    for s in (torch.zeros_like(nearest), nearest, torch.ones_like(nearest)):
        depth = start_along + s * along
        square = start_square + 2 * s * axis_start + s.square() * length[:, None]
        half_chord = (radii.square() - (square - depth.square())).clamp(min=0).sqrt()
        met = torch.where((half_chord > 0) & (depth > 0), depth - half_chord, torch.inf)
        entry = torch.minimum(entry, met.amin(-1))
    return entry
