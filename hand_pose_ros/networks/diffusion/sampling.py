"""The module draws samples of a hand from the diffusion network, with any backend."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.named_tensors import each
from hand_pose_ros.networks.condition import Encoded, KeypointCondition
from hand_pose_ros.networks.denoising.samplers import SamplingStep, sample, sampling_steps
from hand_pose_ros.networks.denoising.schedule import NoiseSchedule
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.networks.image.image_encoder import ImageEncoderConfig, ImageFeatures


class HandDenoiser(Protocol):
    """The interface of :class:`~hand_pose_ros.networks.diffusion.network.HandDiffusion` that samplers use."""

    @property
    def schedule(self) -> NoiseSchedule:
        """Noise schedule of the diffusion."""
        ...

    @property
    def parametrisation(self) -> str:
        """Target of the prediction, 'epsilon' or 'x0'."""
        ...

    @property
    def mean(self) -> Tensor:
        """(21, 3) that standardises the joints, see ``HandDiffusion``."""
        ...

    def encode(self, keypoints: KeypointCondition | None, image_features: Tensor | None = None) -> Encoded:
        """Encode the condition, once per hand."""
        ...

    def denoise(self, noisy: Tensor, t: Tensor, encoded: Encoded) -> Tensor:
        """Predict (n, 21, 3) for noisy samples (n, 21, 3) at steps (n,)."""
        ...

    def fit(self, samples: Tensor, encoded: Encoded) -> HandParameters:
        """Return the valid hands for samples (n, 21, 3) of the diffusion."""
        ...


class HandImageDenoiser(HandDenoiser, Protocol):
    """A :class:`HandDenoiser` that also takes images."""

    @property
    def crops(self) -> ImageEncoderConfig:
        """Size and margin of the crops, see :func:`~hand_pose_ros.camera.hand_crop.hand_crop`."""
        ...

    def encode_crops(self, crops: np.ndarray | Tensor, half_extent: Tensor) -> tuple[ImageFeatures, Tensor]:
        """Encode crops (n, s, s, 3) uint8 BGR of views of ``half_extent`` (n,).

        Returns the encoder's output and the ``image_features`` (n, condition_size) of :meth:`encode`.
        """
        ...


def antithetic_noise(samples: int, generator: torch.Generator) -> Tensor:
    """Draw standard normal x_T (samples, 21, 3); the second half is the negated first half.

    Each sample is still standard normal, but the mean of all samples has less variance.
    """
    half = torch.randn(-(-samples // 2), hand.NUM_JOINTS, 3, generator=generator, device=generator.device)
    return torch.cat((half, -half))[:samples]


def hand_steps(denoiser: HandDenoiser, steps: int | None) -> tuple[SamplingStep, ...]:
    """Return the sampling steps of a hand: ``steps`` of DPM-Solver++(2M), or ancestral ones (eq. 6) if None.

    Raises:
        ValueError: more steps than the diffusion has.
    """
    return sampling_steps(denoiser.schedule, steps, denoiser.parametrisation, order=2)


@torch.no_grad()
def sample_joints(
    denoiser: HandDenoiser,
    encoded: Encoded,
    noise: Tensor,
    steps: int | None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw samples (n, S, 21, 3) of the joints of n hands, see :class:`~hand_pose_ros.networks.condition.Encoded`.

    Args:
        noise: (S, 21, 3) or (n, S, 21, 3) standard normal; the same noise gives the same samples.
        steps: number of steps of :func:`hand_steps`; None for ancestral sampling, which needs the generator.
        generator: on the device of ``noise``.

    Raises:
        ValueError: more steps than the diffusion has, or no generator where one is needed.
    """
    hands, samples = len(encoded.features), noise.shape[-3]
    start = noise.expand(hands, *noise.shape[-3:]).flatten(0, 1)
    every = encoded.repeat(samples)
    walk = hand_steps(denoiser, steps)
    drawn = sample(lambda x, t: denoiser.denoise(x, t, every), start, walk, generator)
    return drawn.unflatten(0, (hands, samples))


def fit_samples(denoiser: HandDenoiser, encoded: Encoded, samples: Tensor) -> HandParameters:
    """Run the IK head on samples (n, S, 21, 3); returns valid hands, fields (n, S, ...)."""
    hands, count = samples.shape[:2]
    fitted = denoiser.fit(samples.flatten(0, 1), encoded.repeat(count))
    return each(lambda value: value.unflatten(0, (hands, count)), fitted)
