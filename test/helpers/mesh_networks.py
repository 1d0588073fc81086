"""Small mesh diffusion networks."""

from __future__ import annotations

from typing import Any

import torch

from hand_pose_ros.networks.mesh_diffusion.config import MeshDiffusionConfig
from hand_pose_ros.networks.mesh_diffusion.network import MeshDiffusion


def small_mesh_config(**changes: Any) -> MeshDiffusionConfig:
    """Of a network that fits a test."""
    values = {"points": 64, "width": 16, "heads": 2, "blocks": 2, "levels": 2, "steps": 20}
    return MeshDiffusionConfig(**{**values, "condition_size_px": 24, **changes})


def small_mesh_network(seed: int = 0, **changes: Any) -> MeshDiffusion:
    """With random weights, none of them zero but those of the conditions, for inference."""
    torch.manual_seed(seed)
    network = MeshDiffusion(small_mesh_config(**changes))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if not parameter.any() and not name.startswith("conditions."):
                parameter.normal_(std=0.1)
        network.mean.normal_(std=0.5)
        network.scale.fill_(0.4)
    return network.eval()
