"""Random views of hands: how large each is, where it is in front of which camera, and how it is turned.

Image coordinates are centred on the optical axis, in units of half the image's larger side: a pinhole camera
without distortion sees the point (x, y, z) at ``focal * (x, y) / z``, and the image ends at +-``aspect``.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.shapes import check_shape
from hand_pose_ros.rotations import rotation_from_angles, rotation_from_quaternion

DISTANCE_M: Final = (0.15, 1.5)
"""Range of the wrist's depth."""
FIELD_OF_VIEW_DEG: Final = (30.0, 110.0)
"""Range of the field of view along the image's larger side."""
ANCHOR_LENGTH_M: Final = (0.06, 0.11)
"""Shortest and longest anchor bone."""
PARTLY_OUTSIDE: Final = 0.13
"""Share of the hands that the image's border cuts off."""
NATURAL: Final = 0.25
"""Share of the hands that are turned as people hold them up, the others being turned in any way."""

_ANCHOR_SPREAD = 0.065  # standard deviation of the anchor length, as a share of its mean
_NEAREST_M = 0.04  # no joint comes nearer to the camera's plane than this
_CUT_DISTANCE = 0.6  # hands that are cut off may be nearer by this factor than the distance where they fit
_MARGIN = 1.02  # and the others stay this much farther than where they just fit
# Half width and half height of common images, with the share that each has.
_ASPECTS = (((1, 3 / 4), 0.40), ((1, 9 / 16), 0.35), ((1, 1), 0.10), ((3 / 4, 1), 0.10), ((9 / 16, 1), 0.05))
# Columns: the wrist frame's axes in the optical frame for a hand that points up, its palm to the camera.
_UPRIGHT = ((0.0, 1.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, 1.0))


class HandView(NamedTuple):
    """Positions and orientations of n hands in front of their cameras.

    rotation: (n, 3, 3) wrist frame -> camera frame (optical: x right, y down, z forward).
    wrist_m: (n, 3) wrist in the camera frame, metres.
    anchor_length_m: (n,) metres.
    focal: (n,) focal length in units of half the image's larger side: ``1 / tan(field of view / 2)``.
    aspect: (n, 2) half width and half height of the image in the same unit; the larger is 1.
    """

    rotation: Tensor
    wrist_m: Tensor
    anchor_length_m: Tensor
    focal: Tensor
    aspect: Tensor


def random_views(joints: Tensor, generator: torch.Generator, natural: float = NATURAL) -> HandView:
    """A random view of each hand, every joint in front of the camera and the hand's middle inside the image.

    Args:
        joints: (n, 21, 3) normalised hands: in the wrist frame, in multiples of the anchor length.
        generator: where the randomness comes from, on any device.
        natural: share of the hands that are held up.

    Raises:
        ValueError: ``joints`` has another shape.
    """
    check_shape("joints", joints, (hand.NUM_JOINTS, 3))
    if joints.ndim != 3:
        raise ValueError(f"joints must have shape (n, {hand.NUM_JOINTS}, 3), got {tuple(joints.shape)}")
    count = len(joints)
    draw = _Draw(joints, generator)
    anchor = hand.MEAN_ANCHOR_LENGTH_M * (1 + _ANCHOR_SPREAD * draw.normal(count))
    anchor = anchor.clamp(*ANCHOR_LENGTH_M)
    focal = 1 / torch.tan(torch.deg2rad(draw.between(*FIELD_OF_VIEW_DEG, count)) / 2)
    aspect = _random_aspects(count, draw)
    rotation = _random_rotations(count, natural, draw)
    from_wrist = joints @ rotation.transpose(-1, -2) * anchor[:, None, None]
    cut = draw.uniform(count) < PARTLY_OUTSIDE

    rays = _border_rays(from_wrist, focal, aspect)
    depth = _random_depths(rays, from_wrist, aspect, cut, draw)
    image = _random_image_points(rays, from_wrist, focal, aspect, depth, cut, draw)
    wrist = torch.cat((image / focal[:, None], torch.ones_like(depth)[:, None]), dim=-1) * depth[:, None]
    return HandView(rotation, wrist, anchor, focal, aspect)


class _Draw:
    """Random numbers of the type and on the device of ``like``."""

    def __init__(self, like: Tensor, generator: torch.Generator):
        self._like, self._generator = like, generator

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self._generator, device=self._generator.device).to(self._like)

    def between(self, low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * self.uniform(*shape)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._generator, device=self._generator.device).to(self._like)


def _random_aspects(count: int, draw: _Draw) -> Tensor:
    """(count, 2) half sizes of images."""
    shapes, shares = zip(*_ASPECTS, strict=True)
    edges = draw.uniform(0).new_tensor(shares).cumsum(0)[:-1]
    return edges.new_tensor(shapes)[torch.bucketize(draw.uniform(count), edges)]


def _random_rotations(count: int, natural: float, draw: _Draw) -> Tensor:
    """(count, 3, 3) orientations: uniform over all, but for a share near a raised hand.

    Raised hands point up within some 35 degrees, show any side but mostly palm or back, and tip to and fro.
    """
    anyhow = rotation_from_quaternion(draw.normal(count, 4))
    zero = draw.uniform(count) * 0
    roll = rotation_from_angles(zero, zero, math.radians(35) * draw.normal(count))
    tilt = rotation_from_angles(math.radians(30) * draw.normal(count), zero, zero)
    side = math.pi * (draw.uniform(count) < 0.4).to(zero)
    about_length = rotation_from_angles(side + math.radians(40) * draw.normal(count), zero, zero)
    raised = roll @ tilt @ zero.new_tensor(_UPRIGHT) @ about_length
    chosen = draw.uniform(count) < natural
    return torch.where(chosen[:, None, None], raised, anyhow)


def _border_rays(from_wrist: Tensor, focal: Tensor, aspect: Tensor) -> tuple[Tensor, Tensor]:
    """How far each joint (n, 21, 2) is beyond the two borders of each axis, for a wrist on the optical axis.

    With the wrist at depth d and seen at w, joint i is inside the image's axis of half size A if
    ``-A <= (f x_i + d w) / (d + z_i) <= A``, that is ``low_i - A d <= d w <= A d - high_i`` with
    ``low_i = -f x_i - A z_i`` and ``high_i = f x_i - A z_i``, which this gives.
    """
    across = focal[:, None, None] * from_wrist[..., :2]
    along = aspect[:, None] * from_wrist[..., 2:]
    return -across - along, across - along


def _random_depths(
    rays: tuple[Tensor, Tensor], from_wrist: Tensor, aspect: Tensor, cut: Tensor, draw: _Draw
) -> Tensor:
    """(n,) depths of the wrist, log-uniform from where the hand fits into the image."""
    low, high = (ray.amax(1) for ray in rays)
    fits = _MARGIN * ((low + high) / (2 * aspect)).amax(-1)
    nearest = torch.where(cut, _CUT_DISTANCE * fits, fits)
    nearest = torch.maximum(nearest, _NEAREST_M - from_wrist[..., 2].amin(-1)).clamp(*DISTANCE_M)
    farthest = math.log(DISTANCE_M[1])
    return torch.exp(farthest + (nearest.log() - farthest) * draw.uniform(len(low)))


def _random_image_points(
    rays: tuple[Tensor, Tensor],
    from_wrist: Tensor,
    focal: Tensor,
    aspect: Tensor,
    depth: Tensor,
    cut: Tensor,
    draw: _Draw,
) -> Tensor:
    """(n, 2) where the wrist is seen: the whole hand inside the image or, where ``cut``, at least its middle."""
    depth = depth[:, None]
    first, last = rays[0].amax(1) / depth - aspect, aspect - rays[1].amax(1) / depth
    middle = _border_rays(from_wrist.mean(1, keepdim=True), focal, aspect)
    first_cut, last_cut = middle[0][:, 0] / depth - aspect, aspect - middle[1][:, 0] / depth
    inside = first + (last - first) * draw.uniform(*first.shape)
    inside = torch.minimum(torch.maximum(inside, first_cut), last_cut)

    # One side of one axis cuts the hand, anywhere between its outermost joint and its middle.
    share = draw.uniform(len(depth), 1)
    low_side = draw.uniform(len(depth), 1) < 0.5
    beyond = torch.where(low_side, first + (first_cut - first) * share, last + (last_cut - last) * share)
    axis = torch.arange(2, device=depth.device) == (draw.uniform(len(depth), 1) < 0.5).to(torch.long)
    return torch.where(cut[:, None] & axis, beyond, inside)
