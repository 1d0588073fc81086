"""Extra conditions of the mesh diffusion network: a depth image, a silhouette, or 2D keypoints (DiffHand, 3.3).

All are images over the crop, and go through the same kind of block into the feature map. The block's last layer is
initialised with zeros: before it is trained, the network's output is that of the network without it. (The paper
initialises all of its layers with zeros; then no gradient would reach any but the last bias.)
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from hand_pose_ros import hand
from hand_pose_ros.common.shapes import check_shape
from hand_pose_ros.networks.mesh_diffusion.config import CONDITION_CHANNELS

_CHANNELS: Final = (16, 32, 64)
_KEYPOINT_RADIUS: Final = 0.08  # half sides of the crop


class ConditionBlock(nn.Module):
    """Convolutions map the image of a condition to the feature map's size; it starts as zero."""

    def __init__(self, channels: int, width: int, map_size: tuple[int, ...]) -> None:
        """``map_size``: (h, w) of the feature map."""
        super().__init__()
        layers: list[nn.Module] = []
        for wide in _CHANNELS:
            layers += [nn.Conv2d(channels, wide, 3, stride=2, padding=1), nn.SiLU()]
            channels = wide
        self.layers = nn.Sequential(*layers)
        self.map_size = tuple(map_size)
        self.last = nn.Conv2d(channels, width, 1)
        for parameter in self.last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, image: Tensor) -> Tensor:
        """Map (n, channels, s, s) to what is added to the feature map, (n, width, h, w)."""
        hidden = nn.functional.interpolate(
            self.layers(image), self.map_size, mode="bilinear", align_corners=False
        )
        return self.last(hidden)


def check_condition(name: str, image: Tensor, count: int, size_px: int) -> None:
    """Check the image of a condition.

    Raises:
        ValueError: an unknown condition, a shape other than (count, channels, size, size), or a value not finite.
    """
    if name not in CONDITION_CHANNELS:
        raise ValueError(f"condition must be one of {tuple(CONDITION_CHANNELS)}, got {name!r}")
    expected = (count, CONDITION_CHANNELS[name], size_px, size_px)
    if tuple(image.shape) != expected:
        raise ValueError(f"condition {name!r} must have shape {expected}, got {tuple(image.shape)}")
    if not bool(image.isfinite().all()):
        raise ValueError(f"condition {name!r} must be finite; unknown depths are zero in both channels")


def depth_condition(depth: Tensor) -> Tensor:
    """Return the condition (n, 2, s, s) of depth images: depths relative to their mean, and where they are known.

    Args:
        depth: (n, s, s) along the crop's axis, in anchor lengths; NaN where unknown or not of the hand.
    """
    known = depth.isfinite()
    count = known.sum((-2, -1), keepdim=True).clamp(min=1)
    filled = torch.where(known, depth, torch.zeros_like(depth))
    mean = filled.sum((-2, -1), keepdim=True) / count
    return torch.stack((torch.where(known, depth - mean, torch.zeros_like(depth)), known.to(depth)), dim=1)


def silhouette_condition(silhouette: Tensor) -> Tensor:
    """Return the condition (n, 1, s, s) of the shares (n, s, s), or bools, of pixels that show the hand."""
    return silhouette.float()[:, None]


def keypoint_condition(points: Tensor, size_px: int) -> Tensor:
    """Return the condition (n, 21, s, s): a bell around each of the points (n, 21, 2); zero for one that is NaN.

    Args:
        points: in half sides of the crop, within [-1, 1] inside it.
    """
    check_shape("points", points, (hand.NUM_JOINTS, 2))
    places = (torch.arange(size_px, device=points.device, dtype=torch.float32) + 0.5) * (2 / size_px) - 1
    across, down = ((points[..., axis, None] - places) / _KEYPOINT_RADIUS for axis in (0, 1))
    squared = across.square()[..., None, :] + down.square()[..., :, None]
    return torch.exp(-squared / 2).nan_to_num(0.0)
