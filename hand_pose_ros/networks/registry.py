"""The registry maps the kind in a weight file to its network class and loads any of them with one function.

To add a network, give its class a ``config_class``, the ``NetworkConfig`` that its constructor takes, and add its
kind to :data:`NETWORKS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from hand_pose_ros.common.late_import import import_named
from hand_pose_ros.common.share import share_file
from hand_pose_ros.files.bounded_text import shortened, shown
from hand_pose_ros.networks.bounded_build import build_bounded
from hand_pose_ros.networks.network_config import NetworkConfig
from hand_pose_ros.networks.weights import load_weights, restore

HAND_DIFFUSION: Final = "hand_diffusion"
HAND_REGRESSOR: Final = "hand_regressor"
IMAGE_HAND_DIFFUSION: Final = "image_hand_diffusion"
IMAGE_HAND_REGRESSOR: Final = "image_hand_regressor"
TEMPORAL: Final = "temporal"
HAND_ORIENTATION: Final = "hand_orientation"
HAND_HEATMAP: Final = "hand_heatmap"
HAND_DETECTOR: Final = "hand_detector"
LANDMARK_ERROR: Final = "landmark_error"
MESH_DIFFUSION: Final = "mesh_diffusion"
DENOISERS: Final = (HAND_DIFFUSION, IMAGE_HAND_DIFFUSION)
"""Kinds whose network is a :class:`~hand_pose_ros.networks.diffusion.sampling.HandDenoiser`."""

NETWORKS: Final[dict[str, str]] = {
    HAND_DIFFUSION: "hand_pose_ros.networks.diffusion.network:HandDiffusion",
    HAND_REGRESSOR: "hand_pose_ros.networks.diffusion.baseline:HandRegressor",
    IMAGE_HAND_DIFFUSION: "hand_pose_ros.networks.diffusion.image_network:HandImageDiffusion",
    IMAGE_HAND_REGRESSOR: "hand_pose_ros.networks.diffusion.image_baseline:HandImageRegressor",
    TEMPORAL: "hand_pose_ros.networks.temporal.transformer:TemporalTransformer",
    HAND_ORIENTATION: "hand_pose_ros.networks.orientation.network:OrientationNetwork",
    HAND_HEATMAP: "hand_pose_ros.networks.heatmap.network:HeatmapNetwork",
    HAND_DETECTOR: "hand_pose_ros.networks.hand_detector.network:HandDetector",
    LANDMARK_ERROR: "hand_pose_ros.networks.landmark_error:LandmarkErrorNetwork",
    MESH_DIFFUSION: "hand_pose_ros.networks.mesh_diffusion.network:MeshDiffusion",
}
"""Kind -> 'module:class' of the network; imported when such a file is loaded."""


_SHIPPED: Final = {
    HAND_DIFFUSION: "models/hand_diffusion.safetensors",
    IMAGE_HAND_DIFFUSION: "models/hand_image_diffusion.safetensors",
    TEMPORAL: "models/temporal.safetensors",
    HAND_ORIENTATION: "models/hand_orientation.safetensors",
    HAND_DETECTOR: "models/hand_detector.safetensors",
    HAND_HEATMAP: "models/hand_heatmap.safetensors",
    LANDMARK_ERROR: "models/landmark_error.safetensors",
    MESH_DIFFUSION: "models/hand_mesh_diffusion.safetensors",
}


@dataclass(frozen=True, eq=False)
class LoadedNetwork:
    """A network with its weights, in evaluation mode and without gradients.

    network: an instance of the class in ``NETWORKS``. kind, config: as stored in the file.
    spread_scale: factor on the spread of a denoiser's samples, None for other networks.
    """

    network: Any
    kind: str
    config: NetworkConfig
    spread_scale: float | None


def load_network(path: str | Path, *kinds: str, device: str | torch.device = "cpu") -> LoadedNetwork:
    """Load the network in a weight file.

    Args:
        kinds: accepted kinds; any in ``NETWORKS`` if none is given.

    Raises:
        ValueError: the file is missing or damaged, its kind is not accepted or not known, or its configuration or
            its tensors do not fit the network. The message names the file.
    """
    loaded = load_weights(path, *kinds)
    if loaded.kind not in NETWORKS:
        raise ValueError(f"{path} holds weights of {shown(loaded.kind)}; known are {', '.join(NETWORKS)}")
    network_class = import_named(NETWORKS[loaded.kind])
    try:
        config = network_class.config_class.from_dict(loaded.config)
        network: Any = build_bounded(lambda: network_class(config), loaded.tensors)
    except ValueError as error:
        raise ValueError(f"{path}: {shortened(str(error))}") from error
    restore(network, loaded)
    network.eval().requires_grad_(False).to(device)
    scale = getattr(network, "spread_scale", None)
    return LoadedNetwork(network, loaded.kind, config, None if scale is None else float(scale))


def shipped_weights(kind: str) -> Path:
    """The weight file of a kind that comes with the package, of those in ``_SHIPPED``.

    Raises:
        FileNotFoundError: the installation is not complete.
    """
    return share_file(_SHIPPED[kind])
