"""The module runs the diffusion network on many hands at once, without a pipeline."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from hand_pose_ros.common.named_tensors import cat, rows, to
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.networks.condition import Encoded, KeypointCondition
from hand_pose_ros.networks.diffusion.sampling import (
    HandDenoiser,
    antithetic_noise,
    fit_samples,
    sample_joints,
)
from hand_pose_ros.networks.hand_head import HandParameters

_CHUNK = 128  # hands at a time


class Lifted(NamedTuple):
    """Output of the diffusion network for n right hands in the canonical view, in anchor lengths.

    encoded: the conditions. unet: (n, S, 21, 3) raw samples of the U-Net. samples: the valid hands that the IK
    head fits to these, fields (n, S, ...).
    """

    encoded: Encoded
    unet: Tensor
    samples: HandParameters


@torch.inference_mode()
def lift(
    denoiser: HandDenoiser,
    condition: KeypointCondition,
    samples: int,
    steps: int | None,
    seed: int = Seed.ARBITRARY,
    image_features: Tensor | None = None,
) -> Lifted:
    """Draw ``samples`` hands for each condition, like :class:`DiffusionEstimator` does.

    Args:
        image_features: (n, ...) of a network that takes images.

    Returns:
        The hands on the denoiser's device; ``condition`` and ``image_features`` may be on another.
    """
    device = denoiser.mean.device
    generator = torch.Generator().manual_seed(seed)
    # The first noise is drawn on the CPU, so that it is the same on every device.
    noise = antithetic_noise(samples, generator).to(denoiser.mean)
    if device.type != "cpu":
        generator = torch.Generator(device).manual_seed(seed)
    parts = []
    for start in range(0, len(condition.points), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        image = None if image_features is None else image_features[chunk].to(device)
        encoded = denoiser.encode(to(rows(condition, chunk), device), image)
        x0 = sample_joints(denoiser, encoded, noise, steps, generator)
        parts.append(Lifted(encoded, encoded.to_joints(x0), fit_samples(denoiser, encoded, x0)))
    return cat(parts)
