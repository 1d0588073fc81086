"""The module exports the temporal transformer as an ONNX graph that maps a window to the newest frame's hand."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from hand_pose_ros import hand
from hand_pose_ros.common.named_tensors import rows
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.networks.onnx_graph import export_graph
from hand_pose_ros.networks.temporal.transformer import TemporalTransformer
from hand_pose_ros.networks.temporal.window import HandWindow

GRAPH_FILE: Final = "temporal.onnx"
GRAPH_VERSION: Final = 2
GRAPH_INPUTS: Final = (*HandWindow._fields, "proportions")
"""Fields of a window, with the number of frames of training, and the proportions of the tracks."""
GRAPH_OUTPUTS: Final = tuple(f"newest_{name}" for name in HandParameters._fields)
_EXAMPLES: Final = 3  # not 1, which the tracer might treat as a constant


class _Newest(nn.Module):
    def __init__(self, model: TemporalTransformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        hands = self.model(HandWindow(*inputs[:-1]), inputs[-1], newest_only=True)
        return tuple(value[:, 0] for value in hands)


def export_temporal(model: TemporalTransformer, path: str | Path) -> None:
    """Write the graph with inputs ``GRAPH_INPUTS``, outputs ``GRAPH_OUTPUTS``, (n, ...)."""
    copy = TemporalTransformer(model.config)
    copy.load_state_dict(model.state_dict())
    copy = copy.eval().requires_grad_(False)
    count, frames = _EXAMPLES, model.config.window
    window = HandWindow(
        stamps_s=torch.linspace(-0.5, 0.0, frames).expand(count, -1).contiguous(),
        valid=torch.ones(count, frames, dtype=torch.bool),
        joints=torch.zeros(count, frames, hand.NUM_JOINTS, 3),
        sigma=torch.full((count, frames, hand.NUM_JOINTS), 0.05),
        angles=torch.zeros(count, frames, hand.NUM_ANGLES),
        rotation=torch.eye(3).expand(count, frames, 3, 3).contiguous(),
    )
    inputs = window._asdict() | {"proportions": torch.ones(count, hand.NUM_BONES)}
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    export_graph(_Newest(copy), inputs, GRAPH_OUTPUTS, Path(path))


def hand_parameters(outputs: list[Tensor]) -> HandParameters:
    """Convert the graph's outputs (n, ...) to hands of one frame each, (n, 1, ...)."""
    return rows(HandParameters(*outputs), (slice(None), None))
