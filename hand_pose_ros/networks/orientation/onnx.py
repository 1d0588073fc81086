"""The module exports the orientation network as an ONNX graph."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from hand_pose_ros.networks.onnx_graph import export_graph
from hand_pose_ros.networks.orientation.features import SHAPE
from hand_pose_ros.networks.orientation.network import OrientationNetwork

GRAPH_FILE: Final = "orientation.onnx"
GRAPH_VERSION: Final = 1
GRAPH_INPUTS: Final = ("features", "sign")
GRAPH_OUTPUTS: Final = ("raw",)
_EXAMPLES: Final = 2  # not 1, which the tracer might treat as a constant


class _Raw(nn.Module):
    def __init__(self, model: OrientationNetwork) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensor, sign: Tensor) -> Tensor:
        return self.model.raw(features, sign)


def export_orientation(model: OrientationNetwork, path: str | Path) -> None:
    """Write the graph of the head's outputs (n, 52), which ``orientation_from_raw`` reads."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    inputs = {"features": torch.zeros(_EXAMPLES, *SHAPE), "sign": torch.ones(_EXAMPLES)}
    export_graph(_Raw(model.eval().cpu()), inputs, GRAPH_OUTPUTS, Path(path))
