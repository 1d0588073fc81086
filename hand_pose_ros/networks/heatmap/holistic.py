"""The holistic baseline regresses the 2.5D pose from the pooled features of a ResNet (appendix A.1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hand_pose_ros import hand
from hand_pose_ros.networks.image.heatmap_head import FIRST_LOG_SIGMA, LOG_SIGMA, HeatmapPoints
from hand_pose_ros.networks.image.resnet import ResNet

_VALUES = 3  # of each joint: x, y, depth
_OUTPUTS = _VALUES + 1  # and the logarithm of sigma
_FIRST_DEVIATION = 0.5


class HolisticRegressor(nn.Module):
    """The ResNet, the mean over its last map, and one linear layer.

    The layer's outputs are poses minus ``mean``, in units of ``deviation``, both (21, 3) of x, y and depth of the
    training poses; the task sets them.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, resnet_depth: int) -> None:
        super().__init__()
        self.resnet = ResNet(resnet_depth)
        self.out = nn.Linear(self.resnet.channels[-1], _OUTPUTS * hand.NUM_JOINTS)
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.zeros_(self.out.bias)
        self.register_buffer("mean", torch.zeros(hand.NUM_JOINTS, _VALUES))
        self.register_buffer("deviation", torch.full((hand.NUM_JOINTS, _VALUES), _FIRST_DEVIATION))

    def forward(self, images: Tensor) -> HeatmapPoints:
        """Map normalised images (n, 3, s, s) to the pose; its ``log_heat`` is empty, (n, 21, 0, 0)."""
        raw = self.out(self.resnet(images)[-1].mean((-2, -1))).float().unflatten(-1, (-1, _OUTPUTS))
        pose = self.mean + self.deviation * raw[..., :_VALUES]
        log_sigma = (raw[..., _VALUES] + FIRST_LOG_SIGMA).clamp(*LOG_SIGMA)
        empty = raw.new_zeros(*raw.shape[:2], 0, 0)
        return HeatmapPoints(pose[..., :2], pose[..., 2], log_sigma, empty)
