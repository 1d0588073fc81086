"""The module draws meshes from the mesh diffusion network and chooses among them."""

from __future__ import annotations

from typing import ClassVar, Protocol

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.shapes import check_shape
from hand_pose_ros.networks.denoising.samplers import sample, sampling_steps
from hand_pose_ros.networks.denoising.schedule import NoiseSchedule
from hand_pose_ros.networks.mesh_diffusion.config import MeshDiffusionConfig
from hand_pose_ros.networks.mesh_diffusion.network import Encoded

DEFAULT_STEPS = 10
"""DDIM steps, as in the paper."""


def mesh_noise(samples: int, points: int, generator: torch.Generator) -> Tensor:
    """Draw standard normal x_T (samples, points, 3) on the generator's device.

    Raises:
        ValueError: no sample is asked for.
    """
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}")
    return torch.randn(samples, points, 3, generator=generator, device=generator.device)


class MeshDenoiser(Protocol):
    """The part of ``MeshDiffusion`` that :func:`sample_meshes` needs."""

    config: MeshDiffusionConfig
    schedule: NoiseSchedule
    parametrisation: ClassVar[str]

    def denoise(self, noisy: Tensor, t: Tensor, encoded: Encoded) -> Tensor:
        """See the network."""
        ...

    def regress(self, encoded: Encoded) -> Tensor:
        """See the network."""
        ...

    def mesh(self, standardised: Tensor) -> Tensor:
        """See the network."""
        ...


@torch.no_grad()
def sample_meshes(
    network: MeshDenoiser,
    encoded: Encoded,
    noise: Tensor,
    steps: int | None = DEFAULT_STEPS,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw S hypotheses of n meshes, (n, S, V, 3), anchor lengths, relative to the wrist.

    A network without diffusion gives its one mesh S times.

    Args:
        noise: (S, points, 3) or (n, S, points, 3) standard normal; the same noise gives the same meshes.
        steps: number of DDIM steps; None for ancestral sampling over all steps, which needs the generator.

    Raises:
        ValueError: a wrong shape, noise or encoder's inputs that are not finite, more steps than the diffusion
            has, or no generator where one is needed.
    """
    check_shape("noise", noise, (network.config.points, 3))
    if not bool(noise.isfinite().all()):
        raise ValueError("noise must be finite")
    if not bool(encoded.embedding.isfinite().all()):
        first = int((~encoded.embedding.isfinite()).any(-1).nonzero()[0])
        raise ValueError(f"the encoder's inputs of crop {first} are not finite")
    hands, samples = len(encoded.embedding), noise.shape[-3]
    if not network.config.diffusion:
        return network.mesh(network.regress(encoded))[:, None].expand(-1, samples, -1, -1)
    start = noise.expand(hands, *noise.shape[-3:]).flatten(0, 1)
    every = encoded.repeat(samples)
    walk = sampling_steps(network.schedule, steps, network.parametrisation)
    drawn = sample(lambda x, t: network.denoise(x, t, every), start, walk, generator)
    return network.mesh(drawn).unflatten(0, (hands, samples))


def project_to_crop(points: Tensor, wrist: Tensor, half_extent: Tensor) -> Tensor:
    """Project points (n, ..., 3), relative to the wrist, into their crops: (n, ..., 2) in half extents.

    Args:
        wrist: (n, 3) from the camera, in the crop's axes, of the points' unit.
        half_extent: (n,) tangent of half the crop's angle.
    """
    between = (1,) * (points.ndim - 2)
    placed = points + wrist.unflatten(0, (-1, *between))
    return placed[..., :2] / placed[..., 2:] / half_extent.reshape(-1, *between, 1)


def log_likelihood(points: Tensor, keypoints: Tensor, sigma: Tensor) -> Tensor:
    """Return the log-likelihood (n, S) of hypotheses under 2D keypoints, but for a constant (Laplace).

    Args:
        points: (n, S, 21, 2) projected joints. keypoints: (n, 21, 2), NaN where unknown.
        sigma: (n, 21) mean absolute error of x and of y. All in one unit.
    """
    check_shape("points", points, (hand.NUM_JOINTS, 2))
    error = (points - keypoints[:, None]).abs().sum(-1) / sigma[:, None]
    return -torch.where(error.isfinite(), error, torch.zeros_like(error)).sum(-1)


def choose(meshes: Tensor, likelihood: Tensor | None = None) -> Tensor:
    """Return one mesh (n, V, 3) of hypotheses (n, S, V, 3): the most likely one, or their mean.

    Args:
        likelihood: (n, S), such as :func:`log_likelihood` gives, to choose by, as the paper does. None for
            the mean.
    """
    if likelihood is None:
        return meshes.mean(1)
    if likelihood.shape != meshes.shape[:2]:
        raise ValueError(
            f"likelihood must have shape {tuple(meshes.shape[:2])}, got {tuple(likelihood.shape)}"
        )
    return meshes[torch.arange(len(meshes), device=meshes.device), likelihood.argmax(1)]


def average_views(meshes: Tensor, rotations: Tensor) -> Tensor:
    """Return the mean (n, V, 3), in the first view's axes, of estimates from several views of n hands.

    The views are crops of one image, so their cameras share a centre: test-time augmentation.

    Args:
        meshes: (views, n, V, 3), relative to the wrist, each in its view's axes.
        rotations: (views, n, 3, 3) from any frame that the views share, such as the camera's, to each view.

    Raises:
        ValueError: wrong shapes.
    """
    check_shape("rotations", rotations, (3, 3))
    if meshes.ndim != 4 or rotations.shape[:-2] != meshes.shape[:2]:
        raise ValueError(
            f"meshes and rotations must be of the same views and hands, got {tuple(meshes.shape)} and "
            f"{tuple(rotations.shape)}"
        )
    to_first = rotations[:1] @ rotations.mT
    return (meshes @ to_first.mT).mean(0)
