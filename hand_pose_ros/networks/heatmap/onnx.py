"""The module exports a 2.5D network as an ONNX graph."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from hand_pose_ros.networks.heatmap.network import HeatmapNetwork
from hand_pose_ros.networks.image.heatmap_head import HeatmapPoints
from hand_pose_ros.networks.onnx_graph import export_graph

GRAPH_FILE: Final = "heatmap.onnx"
GRAPH_VERSION: Final = 2
GRAPH_INPUTS: Final = ("images",)
GRAPH_OUTPUTS: Final = HeatmapPoints._fields
"""Outputs of the graph; that of the holistic variant lacks the last one, ``log_heat``."""
HAND_OUTPUT: Final = "hand"
"""One more output, logits, of a network with ``presence``."""
_EXAMPLES: Final = 2  # not 1, which the tracer might treat as a constant


class _Outputs(nn.Module):
    def __init__(self, model: HeatmapNetwork, count: int) -> None:
        super().__init__()
        self.model, self.count = model, count

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        output = self.model.stages(images)[-1]
        joints = tuple(output.joints)[: self.count]
        return joints if output.hand is None else (*joints, output.hand)


def export_heatmap(model: HeatmapNetwork, path: str | Path) -> None:
    """Write the graph that maps images (n, 3, s, s) to the fields of :class:`HeatmapPoints`, for any n."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    config = model.config
    outputs = GRAPH_OUTPUTS if config.map_size else GRAPH_OUTPUTS[:-1]
    names = (*outputs, HAND_OUTPUT) if config.presence else outputs
    inputs = {"images": torch.zeros(_EXAMPLES, 3, config.image_size, config.image_size)}
    export_graph(_Outputs(model.eval().cpu(), len(outputs)), inputs, names, Path(path))
