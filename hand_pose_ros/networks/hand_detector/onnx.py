"""The module exports the hand detector as an ONNX graph."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch

from hand_pose_ros.networks.hand_detector.network import DetectorMaps, HandDetector
from hand_pose_ros.networks.onnx_graph import export_graph

GRAPH_FILE: Final = "hand_detector.onnx"
GRAPH_VERSION: Final = 1
GRAPH_INPUTS: Final = ("images",)
GRAPH_OUTPUTS: Final = DetectorMaps._fields
_EXAMPLES: Final = 2  # not 1, which the tracer might treat as a constant


def export_hand_detector(model: HandDetector, path: str | Path) -> None:
    """Write the graph that maps images (n, 3, s, s) to the fields of :class:`DetectorMaps`, for any n."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    size = model.config.image_size
    inputs = {"images": torch.zeros(_EXAMPLES, 3, size, size)}
    export_graph(model.eval().cpu(), inputs, GRAPH_OUTPUTS, Path(path))
