"""The fast variant starts as MediaPipe's landmark network: its encoder, its points, its presence and its side."""

from __future__ import annotations

from typing import Final

import torch
from torch import nn

from hand_pose_ros.networks.heatmap.landmark_encoder import (
    LAST_OPERATION,
    copy_convolutions,
    start_from_landmarks,
)
from hand_pose_ros.networks.heatmap.network import HeatmapNetwork
from hand_pose_ros.networks.imported.network import ImportedNetwork

_PRESENCE_OPERATION: Final = 59
_SIDE_OPERATION: Final = 57
_POINTS_OPERATION: Final = 61  # x, y in pixels of its input, and a depth, of each joint
_INPUT_PX: Final = 224


def start_fast_network(network: HeatmapNetwork, imported: ImportedNetwork) -> None:
    """Copy the landmark network's weights into a fast network; decoder and depths start as they are.

    Points keep their distance in pixels from the middle of the crop, whatever its size.

    Args:
        imported: the ``ImportedNetwork`` of ``hand_landmark_full.tflite``.

    Raises:
        ValueError: it is another network.
    """
    start_from_landmarks(network.encoder, imported)
    copy_convolutions(imported.operations[LAST_OPERATION:], network.regression)
    weight, bias = _linear(imported, _POINTS_OPERATION)
    weight, bias = (one.unflatten(0, (-1, 3))[:, :2].flatten(0, 1) for one in (weight, bias))
    pixel = 2 / network.config.image_size
    _fill(network.regression.points, weight * pixel, (bias - _INPUT_PX / 2) * pixel)
    if network.config.presence:
        parts = [_linear(imported, index) for index in (_PRESENCE_OPERATION, _SIDE_OPERATION)]
        _fill(network.presence.direct, *map(torch.cat, zip(*parts, strict=True)))


def _linear(imported: ImportedNetwork, index: int) -> tuple[torch.Tensor, torch.Tensor]:
    layer = imported.operations[index]
    assert isinstance(layer, nn.Linear)
    return layer.weight.detach(), layer.bias.detach()


def _fill(layer: nn.Linear, weight: torch.Tensor, bias: torch.Tensor) -> None:
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
