"""The networks on many hands at once: the parts of the diffusion estimator, without a pipeline around them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hand_pose_ros.camera.keypoint_view import KeypointView
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.estimator.keypoint_input import keypoint_input, why_not
from hand_pose_ros.networks.condition import Encoded, KeypointCondition
from hand_pose_ros.networks.diffusion.baseline import HandRegressor, HandRegressorConfig
from hand_pose_ros.networks.diffusion.network import HandDiffusion, HandDiffusionConfig
from hand_pose_ros.networks.diffusion.sampling import HandDenoiser, antithetic_noise, sample_joints
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.networks.weights import load_weights, restore
from hand_pose_ros.pose import Detection

_CHUNK = 128  # hands at a time
_NETWORKS = {
    "hand_diffusion": (HandDiffusion, HandDiffusionConfig),
    "hand_regressor": (HandRegressor, HandRegressorConfig),
}


class NetworkInput(NamedTuple):
    """n of N detected hands as the networks get them.

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


def load_network(path: str | Path, kind: str) -> nn.Module:
    """A network with its weights, ready to be used.

    Args:
        kind: 'hand_diffusion' or 'hand_regressor'.

    Raises:
        ValueError: the file is not one of these weights.
    """
    network, config = _NETWORKS[kind]
    loaded = load_weights(path, kind)
    model = network(config.from_dict(loaded.config))
    restore(model, loaded)
    return model.eval()


def network_input(hands: Sequence[tuple[CameraModel, Detection]]) -> NetworkInput:
    """The canonical views and conditions of those hands that the networks can take.

    Raises:
        ValueError: none of them can be taken.
    """
    rows, views, conditions = [], [], []
    for row, (camera, detection) in enumerate(hands):
        try:
            if why_not(detection, camera):
                continue
            view, condition = keypoint_input(camera, detection)
        except ValueError:
            continue
        rows.append(row)
        views.append(view)
        conditions.append(condition)
    if not rows:
        raise ValueError("none of the hands has keypoints that can be lifted")
    view = KeypointView(*map(torch.cat, zip(*views, strict=True)))
    condition = KeypointCondition(*map(torch.cat, zip(*conditions, strict=True)))
    return NetworkInput(torch.tensor(rows), view, condition)


@torch.inference_mode()
def lift(
    denoiser: HandDenoiser,
    condition: KeypointCondition,
    samples: int,
    steps: int | None,
    seed: int = 0,
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
        rows = slice(start, start + _CHUNK)
        image = None if image_features is None else image_features[rows]
        encoded = denoiser.encode(KeypointCondition(*(v[rows] for v in condition)), image)
        x0 = sample_joints(denoiser, encoded, noise, steps, generator)
        fitted = denoiser.fit(x0.flatten(0, 1), encoded.repeat(samples))
        fitted = HandParameters(*(value.unflatten(0, (-1, samples)) for value in fitted))
        parts.append(Lifted(encoded, x0 * denoiser.scale + denoiser.mean, fitted))
    return Lifted(
        Encoded(*map(torch.cat, zip(*(part.encoded for part in parts), strict=True))),
        torch.cat([part.unet for part in parts]),
        HandParameters(*map(torch.cat, zip(*(part.samples for part in parts), strict=True))),
    )
