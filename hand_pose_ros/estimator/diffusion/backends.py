"""The module loads the diffusion network into a backend: PyTorch, compiled PyTorch, or onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import TypeGuard

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros.common.device import BACKENDS, DEVICES, choose_backend, resolve_device
from hand_pose_ros.estimator.diffusion.onnx_denoiser import OnnxDenoiser
from hand_pose_ros.networks.condition import Encoded, KeypointCondition
from hand_pose_ros.networks.diffusion.image_network import HandImageDiffusion
from hand_pose_ros.networks.diffusion.network import HandDiffusion
from hand_pose_ros.networks.diffusion.sampling import HandDenoiser, HandImageDenoiser
from hand_pose_ros.networks.diffusion.unet1d_rows import RowUNet1d
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.networks.image.image_encoder import ImageFeatures
from hand_pose_ros.networks.registry import DENOISERS, load_network
from hand_pose_ros.networks.runtime.onnx_cache import cached_export


def load_denoiser(
    path: str | Path, backend: str = "auto", device: str = "auto"
) -> tuple[HandDenoiser, float]:
    """Load the network in ``path``; return it and the factor on its samples' spread.

    Args:
        backend: one of ``BACKENDS``.
        device: 'cpu', 'cuda', or 'auto' for CUDA where the backend has it.

    Raises:
        ValueError: an unknown backend or device; the file or folder is missing, damaged, or of another
            backend; or the device is not available.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {BACKENDS}, got {backend!r}")
    if device not in DEVICES:
        raise ValueError(f"device must be one of {DEVICES}, got {device!r}")
    path = Path(path)
    backend = "onnxruntime" if backend == "auto" and path.is_dir() else choose_backend(backend, device)
    if backend == "onnxruntime":
        denoiser = OnnxDenoiser(path if path.is_dir() else cached_export(path), device)
        return denoiser, denoiser.spread_scale
    if path.is_dir():
        raise ValueError(f"{path} is a folder: the backend {backend!r} needs a weight file (.safetensors)")
    loaded = load_network(path, *DENOISERS, device=resolve_device(device))
    denoiser = CompiledDenoiser(loaded.network) if backend == "compiled" else loaded.network
    assert loaded.spread_scale is not None  # every denoiser has one
    return denoiser, loaded.spread_scale


def takes_images(denoiser: HandDenoiser) -> TypeGuard[HandImageDenoiser]:
    """Return whether a network that :func:`load_denoiser` returned takes images."""
    return getattr(denoiser, "crops", None) is not None


class CompiledDenoiser:
    """A :class:`~hand_pose_ros.networks.diffusion.sampling.HandDenoiser` whose steps go through ``torch.compile``.

    It compiles in its first steps, which takes up to minutes and, on the CPU, a C++ compiler.
    """

    def __init__(self, model: HandDiffusion | HandImageDiffusion) -> None:
        self._model = model
        self.crops = getattr(model, "crops", None)
        network = model.diffusion if isinstance(model, HandImageDiffusion) else model
        self.schedule, self.parametrisation = model.schedule, model.parametrisation
        self.mean = model.mean
        on_cpu = model.mean.device.type == "cpu"
        unet = RowUNet1d(network.unet, model.schedule.steps) if on_cpu else network.unet
        # The number of hands changes from frame to frame; a graph for each number would compile in mid-video.
        self._unet = torch.compile(unet, dynamic=True)

    def encode_crops(self, crops: np.ndarray | Tensor, half_extent: Tensor) -> tuple[ImageFeatures, Tensor]:
        """See ``HandImageDenoiser``; not compiled, since it runs once and not in every step."""
        assert isinstance(self._model, HandImageDiffusion)
        return self._model.encode_crops(crops, half_extent)

    def encode(self, keypoints: KeypointCondition | None, image_features: Tensor | None = None) -> Encoded:
        """See ``HandDenoiser``."""
        return self._model.encode(keypoints, image_features)

    def denoise(self, noisy: Tensor, t: Tensor, encoded: Encoded) -> Tensor:
        """See ``HandDenoiser``."""
        return self._unet(noisy, t, encoded.features, encoded.joints)

    def fit(self, samples: Tensor, encoded: Encoded) -> HandParameters:
        """See ``HandDenoiser``."""
        return self._model.fit(samples, encoded)
