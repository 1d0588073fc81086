"""The module exports the mesh diffusion network as two ONNX graphs: the encoder and the denoiser."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from hand_pose_ros.networks.mesh_diffusion.network import Encoded, MeshDiffusion
from hand_pose_ros.networks.onnx_graph import export_graph
from hand_pose_ros.networks.orientation.features import SHAPE

GRAPH_VERSION: Final = 1
ENCODER_FILE: Final = "encoder.onnx"
DENOISER_FILE: Final = "denoiser.onnx"
ENCODER_INPUTS: Final = ("inputs", "sign")
DENOISER_INPUTS: Final = ("noisy", "t", "feature_map", "embedding")
_EXAMPLES: Final = 3  # not 1, which the tracer might treat as a constant


class _Encoder(nn.Module):
    def __init__(self, model: MeshDiffusion) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor, sign: Tensor) -> Encoded:
        return self.model.encode(inputs, sign)


class _Denoiser(nn.Module):
    def __init__(self, model: MeshDiffusion) -> None:
        super().__init__()
        self.model = model

    def forward(self, noisy: Tensor, t: Tensor, feature_map: Tensor, embedding: Tensor) -> Tensor:
        return self.model.denoise(noisy, t, Encoded(feature_map, embedding))


def export_mesh_diffusion(network: MeshDiffusion, folder: str | Path) -> None:
    """Write the graphs into ``folder``; the first axis of every tensor is dynamic.

    The encoder is exported without extra conditions.

    Raises:
        ValueError: the network has no diffusion.
    """
    if not network.config.diffusion:
        raise ValueError("only a network with diffusion is exported")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model = copy.deepcopy(network).cpu().eval().requires_grad_(False)
    config, count = model.config, _EXAMPLES
    size = config.encoder.size_px
    inputs = (
        torch.zeros(count, *SHAPE)
        if config.encoder.reads_features
        else torch.zeros(count, size, size, 3, dtype=torch.uint8)
    )
    sign = torch.ones(count)
    encoded = model.encode(inputs, sign)
    export_graph(
        _Encoder(model),
        dict(zip(ENCODER_INPUTS, (inputs, sign), strict=True)),
        Encoded._fields,
        folder / ENCODER_FILE,
    )
    noisy = (torch.zeros(count, config.points, 3), torch.zeros(count, dtype=torch.long), *encoded)
    export_graph(
        _Denoiser(model),
        dict(zip(DENOISER_INPUTS, noisy, strict=True)),
        ("prediction",),
        folder / DENOISER_FILE,
    )
