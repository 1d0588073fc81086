"""The networks on many hands at once: the parts of the diffusion estimator, without a pipeline around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from hand_pose_ros.camera.keypoint_view import KeypointView
from hand_pose_ros.common.named_tensors import cat, rows
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.datasets.labelled_hand import Observation
from hand_pose_ros.estimator.keypoint_input import keypoint_input, why_not
from hand_pose_ros.networks.condition import Encoded, KeypointCondition
from hand_pose_ros.networks.diffusion.sampling import (
    HandDenoiser,
    antithetic_noise,
    fit_samples,
    sample_joints,
)
from hand_pose_ros.networks.hand_head import HandParameters

_CHUNK = 128  # hands at a time


class NetworkInput(NamedTuple):
    """n of N observations as the networks get them.

    rows: (n,) which ones; the others cannot be lifted. view, condition: of these.
    """

    rows: Tensor
    view: KeypointView
    condition: KeypointCondition


class Lifted(NamedTuple):
    """What the diffusion network makes of n hands, right ones in the canonical view, in anchor lengths.

    encoded: the conditions. unet: (n, S, 21, 3) samples as the U-Net leaves them. samples: the valid hands that
    the IK head makes of these, fields (n, S, ...).
    """

    encoded: Encoded
    unet: Tensor
    samples: HandParameters


def network_input(observations: Sequence[Observation]) -> NetworkInput:
    """The canonical views and conditions of those observations that the networks can take.

    Raises:
        ValueError: none of them can be taken.
    """
    taken, views, conditions = [], [], []
    for row, observation in enumerate(observations):
        try:
            if why_not(observation.detection, observation.camera):
                continue
            view, condition = keypoint_input(observation.camera, observation.detection)
        except ValueError:
            continue
        taken.append(row)
        views.append(view)
        conditions.append(condition)
    if not taken:
        raise ValueError("none of the hands has keypoints that can be lifted")
    return NetworkInput(torch.tensor(taken), cat(views), cat(conditions))


@torch.inference_mode()
def lift(
    denoiser: HandDenoiser,
    condition: KeypointCondition,
    samples: int,
    steps: int | None,
    seed: int = Seed.ARBITRARY,
    image_features: Tensor | None = None,
) -> Lifted:
    """Draw ``samples`` hands for each condition, as :class:`DiffusionEstimator` does.

    Args:
        image_features: (n, ...) of a network that sees pictures.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = antithetic_noise(samples, generator)
    parts = []
    for start in range(0, len(condition.points), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        image = None if image_features is None else image_features[chunk]
        encoded = denoiser.encode(rows(condition, chunk), image)
        x0 = sample_joints(denoiser, encoded, noise, steps, generator)
        unet = x0 * denoiser.scale + denoiser.mean
        parts.append(Lifted(encoded, unet, fit_samples(denoiser, encoded, x0)))
    return cat(parts)
