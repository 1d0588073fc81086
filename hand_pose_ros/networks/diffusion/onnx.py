"""The module exports the diffusion network as ONNX graphs in one folder, for onnxruntime.

    hand_pose export-onnx --weights diffusion.safetensors --output diffusion_onnx

    encoder.onnx    points, depth, confidence, inside, half_extent [, image_features]
                    -> features, joints, mean, scale
    denoiser.onnx   noisy, t, features, joints -> prediction
    head.onnx       samples, features, mean, scale -> angles, proportions, rotation, joint_positions, rotations
    image.onnx      crops, crop_half_extent -> features, points, depth, sigma, presence, log_heat, image_features
                    only of a network with an image encoder; crops (n, s, s, 3) uint8 BGR
    model.json      everything else that a sampler needs, and the graphs' checksums

The first axis of every tensor counts hands or samples and is dynamic; ``t`` may also be one step for all of them.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from hand_pose_ros import hand
from hand_pose_ros.files.atomic_file import write_text_atomically
from hand_pose_ros.files.regular_file import checksum
from hand_pose_ros.networks.condition import Encoded, KeypointCondition
from hand_pose_ros.networks.diffusion.image_network import HandImageDiffusion
from hand_pose_ros.networks.diffusion.network import HandDiffusion
from hand_pose_ros.networks.diffusion.unet1d_rows import RowUNet1d
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.networks.image.image_encoder import ImageFeatures, normalised
from hand_pose_ros.networks.onnx_graph import export_graph
from hand_pose_ros.networks.registry import DENOISERS, HAND_DIFFUSION, IMAGE_HAND_DIFFUSION, load_network

FORMAT_VERSION: Final = 3
METADATA_FILE: Final = "model.json"
GRAPHS: Final = ("encoder", "denoiser", "head")
CONDITION_INPUTS: Final = KeypointCondition._fields
IMAGE_INPUT: Final = "image_features"
IMAGE_GRAPH: Final = "image"
CROP_INPUTS: Final = ("crops", "crop_half_extent")
IMAGE_OUTPUTS: Final = (*ImageFeatures._fields, IMAGE_INPUT)
HEAD_OUTPUTS: Final = ("angles", "proportions", "rotation", "joint_positions", "rotations")
"""Outputs in the order of :class:`~hand_pose_ros.networks.hand_head.HandParameters`."""
_EXAMPLES: Final = 3  # not 1, which the tracer might treat as a constant


class _Encoder(nn.Module):
    def __init__(self, model: HandDiffusion) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: Tensor) -> Encoded:
        keypoints, image = inputs[: len(CONDITION_INPUTS)], inputs[len(CONDITION_INPUTS) :]
        return self.model.encode(KeypointCondition(*keypoints), image[0] if image else None)


class _Image(nn.Module):
    def __init__(self, model: HandImageDiffusion) -> None:
        super().__init__()
        self.model = model

    def forward(self, crops: Tensor, half_extent: Tensor) -> tuple[Tensor, ...]:
        features, condition = self.model.encode_images(normalised(crops), half_extent)
        return (*features, condition)


class _Head(nn.Module):
    def __init__(self, model: HandDiffusion) -> None:
        super().__init__()
        self.model = model

    def forward(self, samples: Tensor, features: Tensor, mean: Tensor, scale: Tensor) -> HandParameters:
        return self.model.fit(samples, Encoded(features, samples, mean, scale))


def graphs_of(kind: str) -> tuple[str, ...]:
    """Return the names of the graphs in an export of this kind."""
    return (*GRAPHS, IMAGE_GRAPH) if kind == IMAGE_HAND_DIFFUSION else GRAPHS


def export_onnx(network: HandDiffusion | HandImageDiffusion, folder: str | Path) -> None:
    """Write the graphs and the metadata of ``network`` into ``folder``, which is created if needed.

    The metadata are written last: a folder without them, or whose graphs differ from them, is not an export.

    Raises:
        ValueError: ``folder`` is a file.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} must be a folder, it is a file")
    network = copy.deepcopy(network).cpu().eval().requires_grad_(False)
    model = network.diffusion if isinstance(network, HandImageDiffusion) else network
    count, width, image = _EXAMPLES, model.config.condition.width, model.config.condition.image_features
    keypoints = {
        "points": torch.zeros(count, hand.NUM_JOINTS, 2),
        "depth": torch.zeros(count, hand.NUM_JOINTS),
        "confidence": torch.ones(count, hand.NUM_JOINTS),
        "inside": torch.ones(count, hand.NUM_JOINTS, dtype=torch.bool),
        "half_extent": torch.full((count,), 0.2),
    }
    condition = {**keypoints, IMAGE_INPUT: torch.zeros(count, image)} if image else keypoints
    joints = torch.zeros(count, hand.NUM_JOINTS, 3)
    features = torch.zeros(count, width)
    noisy = {
        "noisy": joints,
        "t": torch.zeros(count, dtype=torch.long),
        "features": features,
        "joints": torch.zeros(count, hand.NUM_JOINTS, model.config.condition.joint_features),
    }
    unet = RowUNet1d(model.unet, model.schedule.steps)
    export_graph(_Encoder(model), condition, Encoded._fields, folder / "encoder.onnx")
    export_graph(unet, noisy, ("prediction",), folder / "denoiser.onnx", {"t": "steps"})
    fitted = {"samples": joints, "features": features, "mean": joints, "scale": joints + 1}
    export_graph(_Head(model), fitted, HEAD_OUTPUTS, folder / "head.onnx")
    if isinstance(network, HandImageDiffusion):
        size = network.crops.size_px
        crops = torch.zeros(count, size, size, 3, dtype=torch.uint8)
        inputs: dict[str, Tensor] = dict(zip(CROP_INPUTS, (crops, keypoints["half_extent"]), strict=True))
        export_graph(_Image(network), inputs, IMAGE_OUTPUTS, folder / f"{IMAGE_GRAPH}.onnx")
    kind = IMAGE_HAND_DIFFUSION if isinstance(network, HandImageDiffusion) else HAND_DIFFUSION
    metadata = {
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "config": model.config.to_dict(),
        "parametrisation": model.parametrisation,
        "betas": model.schedule.betas.tolist(),
        "mean": model.mean.tolist(),
        "scale": model.scale.tolist(),
        "spread_scale": model.spread_scale.item(),
        "sha256": {name: checksum(folder / f"{name}.onnx") for name in graphs_of(kind)},
    }
    if isinstance(network, HandImageDiffusion):
        metadata["crops"] = network.crops.to_dict()
    write_text_atomically(folder / METADATA_FILE, json.dumps(metadata, indent=1) + "\n")


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns 0, or exits with 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="hand_pose export-onnx",
        description="Write the diffusion estimator's network as ONNX graphs, for backend 'onnxruntime'.",
    )
    parser.add_argument("--weights", required=True, help="weight file (.safetensors) of either kind")
    parser.add_argument("--output", required=True, help="folder for the graphs and model.json")
    arguments = parser.parse_args(argv)
    try:
        loaded = load_network(arguments.weights, *DENOISERS)
        export_onnx(loaded.network, arguments.output)
    except ValueError as error:
        parser.error(str(error))
    size = sum(file.stat().st_size for file in Path(arguments.output).glob("*.onnx"))
    sys.stdout.write(f"{arguments.output}: {', '.join(graphs_of(loaded.kind))}, {size / 1e6:.1f} MB\n")
    return 0
