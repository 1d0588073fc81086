"""The module loads a mesh diffusion network into a backend: PyTorch or onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from hand_pose_ros.common.device import BACKENDS, choose_backend, resolve_device
from hand_pose_ros.common.onnx_session import OnnxGraph
from hand_pose_ros.networks.denoising.schedule import NoiseSchedule
from hand_pose_ros.networks.mesh_diffusion.config import MeshDiffusionConfig
from hand_pose_ros.networks.mesh_diffusion.network import Encoded, MeshDiffusion
from hand_pose_ros.networks.mesh_diffusion.onnx import (
    DENOISER_FILE,
    DENOISER_INPUTS,
    ENCODER_FILE,
    ENCODER_INPUTS,
)
from hand_pose_ros.networks.mesh_diffusion.sampling import sample_meshes
from hand_pose_ros.networks.registry import MESH_DIFFUSION, load_network
from hand_pose_ros.networks.runtime.onnx_cache import cached_mesh_graphs


class RunnableMesh(Protocol):
    """Run-time interface of a mesh diffusion network.

    config: says what its encoder reads, and by which factor the spread of its hypotheses is calibrated.
    """

    config: MeshDiffusionConfig

    def hypotheses(
        self,
        inputs: Tensor,
        sign: Tensor,
        noise: Tensor,
        steps: int,
        conditions: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Draw meshes of n crops, see :func:`~hand_pose_ros.networks.mesh_diffusion.sampling.sample_meshes`.

        Args:
            inputs: n of what the encoder reads. sign: (n,) +1 for a right hand, -1 for a left one.
            noise: (S, points, 3) standard normal. steps: of DDIM.
            conditions: images of extra conditions, see
                :meth:`~hand_pose_ros.networks.mesh_diffusion.network.MeshDiffusion.encode`.

        Returns:
            (n, S, V, 3), on the CPU.
        """
        ...


def load_mesh_network(
    path: str | Path, backend: str = "auto", device: str = "auto", threads: int = 1
) -> RunnableMesh:
    """Load the network in a weight file.

    Args:
        backend: see :func:`~hand_pose_ros.estimator.diffusion.backends.load_denoiser`; 'compiled' is 'torch' here.
            A network without diffusion runs in PyTorch.
        threads: of onnxruntime on the CPU; 0 for one per core. The network is too small to gain from more.

    Raises:
        ValueError: no such backend or device, or the file is missing, damaged, of another network, or for a mesh
            of another topology than the package's template.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {BACKENDS}, got {backend!r}")
    loaded = load_network(path, MESH_DIFFUSION)
    network: MeshDiffusion = loaded.network
    if network.config.diffusion and choose_backend(backend, device) == "onnxruntime":
        return OnnxMesh(network, cached_mesh_graphs(path), device, threads)
    return TorchMesh(network.to(resolve_device(device)))


class TorchMesh:
    """A :class:`RunnableMesh` that PyTorch runs."""

    def __init__(self, network: MeshDiffusion) -> None:
        self.config = network.config
        self._network = network

    @torch.inference_mode()
    def hypotheses(
        self,
        inputs: Tensor,
        sign: Tensor,
        noise: Tensor,
        steps: int,
        conditions: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """See :class:`RunnableMesh`."""
        device = self._network.scale.device
        encoded = self._network.encode(inputs.to(device), sign.to(device), _to(conditions, device))
        return sample_meshes(self._network, encoded, noise.to(device), steps).float().cpu()


class OnnxMesh:
    """A :class:`RunnableMesh` that onnxruntime runs; PyTorch has the sampling loop and fills the mesh."""

    parametrisation: ClassVar[str] = MeshDiffusion.parametrisation

    def __init__(self, network: MeshDiffusion, folder: Path, device: str = "cpu", threads: int = 1) -> None:
        """``folder``: with the graphs of ``network``.

        Raises:
            ValueError: onnxruntime is not installed, lacks the CUDA that is asked for, or cannot use a file.
        """
        self.config = network.config
        self.schedule: NoiseSchedule = network.schedule
        self._encoder = OnnxGraph(folder / ENCODER_FILE, device, threads)
        self._denoiser = OnnxGraph(folder / DENOISER_FILE, device, threads)
        self._network = network.to(self._denoiser.device)

    @torch.inference_mode()
    def hypotheses(
        self,
        inputs: Tensor,
        sign: Tensor,
        noise: Tensor,
        steps: int,
        conditions: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """See :class:`RunnableMesh`.

        Raises:
            ValueError: no crop.
        """
        if not len(inputs):
            raise ValueError("the batch has no crop: n must be at least 1")
        device = self._denoiser.device
        if conditions:
            # The graph of the encoder has none.
            encoded = self._network.encode(inputs.to(device), sign.to(device), _to(conditions, device))
        else:
            given: dict[str, Tensor] = dict(zip(ENCODER_INPUTS, (inputs, sign), strict=True))
            # The graph of a ResNet has no sign: it reads crops of right hands.
            found = self._encoder.run({name: given[name] for name in self._encoder.inputs})
            encoded = Encoded(*(one.to(device) for one in found))
        return sample_meshes(self, encoded, noise.to(device), steps).float().cpu()

    def denoise(self, noisy: Tensor, t: Tensor, encoded: Encoded) -> Tensor:
        """See :class:`~hand_pose_ros.networks.mesh_diffusion.network.MeshDiffusion`."""
        return self._denoiser.run(dict(zip(DENOISER_INPUTS, (noisy, t, *encoded), strict=True)))[0]

    def regress(self, encoded: Encoded) -> Tensor:
        """Refuse: a network without diffusion has no graphs."""
        del encoded
        raise ValueError("a network without diffusion is not exported")

    def mesh(self, standardised: Tensor) -> Tensor:
        """See :class:`~hand_pose_ros.networks.mesh_diffusion.network.MeshDiffusion`."""
        return self._network.mesh(standardised)


def _to(conditions: Mapping[str, Tensor] | None, device: torch.device) -> dict[str, Tensor]:
    return {name: image.to(device) for name, image in (conditions or {}).items()}
