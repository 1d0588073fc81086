"""The image network joins an image encoder and the diffusion network; they are trained and stored as one.

Its condition is keypoints alone, the image alone, or both; condition dropout trains all three cases.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from hand_pose_ros.networks.condition import Encoded, KeypointCondition
from hand_pose_ros.networks.denoising.schedule import NoiseSchedule
from hand_pose_ros.networks.diffusion.network import HandDiffusion, HandDiffusionConfig
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.networks.image.image_encoder import (
    ImageEncoder,
    ImageEncoderConfig,
    ImageFeatures,
    image_condition,
    normalised,
)
from hand_pose_ros.networks.network_config import NetworkConfig
from hand_pose_ros.networks.weights import LoadedWeights


@dataclass(frozen=True)
class HandImageDiffusionConfig(NetworkConfig):
    """Everything that is needed to rebuild both networks; the diffusion's condition takes the encoder's output."""

    image: ImageEncoderConfig = field(default_factory=ImageEncoderConfig)
    diffusion: HandDiffusionConfig = field(default_factory=HandDiffusionConfig)

    def __post_init__(self) -> None:
        condition = replace(
            self.diffusion.condition,
            image_features=self.image.condition_size,
            image_joints=True,
        )
        object.__setattr__(self, "diffusion", replace(self.diffusion, condition=condition))


class HandImageDiffusion(nn.Module):
    """The network combines the encoder ``image`` and the ``diffusion`` that it conditions."""

    config_class: ClassVar = HandImageDiffusionConfig

    def __init__(self, config: HandImageDiffusionConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or HandImageDiffusionConfig()
        self.image = ImageEncoder(config.image)
        self.diffusion = HandDiffusion(config.diffusion)

    @property
    def crops(self) -> ImageEncoderConfig:
        """Size and margin of the crops."""
        return self.config.image

    @property
    def schedule(self) -> NoiseSchedule:
        """Noise schedule of the diffusion."""
        return self.diffusion.schedule

    @property
    def parametrisation(self) -> str:
        """Target of the U-Net, 'epsilon' or 'x0'."""
        return self.diffusion.parametrisation

    @property
    def mean(self) -> Tensor:
        """See ``HandDiffusion``."""
        return self.diffusion.mean

    @property
    def spread_scale(self) -> Tensor:
        """See ``HandDiffusion``."""
        return self.diffusion.spread_scale

    def encode(self, keypoints: KeypointCondition | None, image_features: Tensor | None = None) -> Encoded:
        """See ``HandDenoiser``; ``image_features`` come from :meth:`encode_images`."""
        return self.diffusion.encode(keypoints, image_features)

    def denoise(self, noisy: Tensor, t: Tensor, encoded: Encoded) -> Tensor:
        """See ``HandDenoiser``."""
        return self.diffusion.denoise(noisy, t, encoded)

    def fit(self, samples: Tensor, encoded: Encoded) -> HandParameters:
        """See ``HandDenoiser``."""
        return self.diffusion.fit(samples, encoded)

    def encode_crops(self, crops: np.ndarray | Tensor, half_extent: Tensor) -> tuple[ImageFeatures, Tensor]:
        """See :class:`~hand_pose_ros.networks.diffusion.sampling.HandImageDenoiser`."""
        device = self.mean.device
        return self.encode_images(normalised(crops, device), half_extent.to(device))

    def encode_images(self, images: Tensor, half_extent: Tensor) -> tuple[ImageFeatures, Tensor]:
        """Encode crops; returns the encoder's output and the condition (n, condition_size) of the diffusion.

        Args:
            images: (n, 3, s, s), see :func:`~hand_pose_ros.networks.image.image_encoder.normalised`.
            half_extent: (n,) of the crops' views.
        """
        features = self.image(images)
        return features, image_condition(features, half_extent)


@torch.no_grad()
def warm_start(network: nn.Module, loaded: LoadedWeights) -> list[str]:
    """Copy the weights of a network with fewer conditions into the tensors of the same names.

    If a tensor has more columns (second axis) than the stored one, the last ones are new and set to zero, so that
    their inputs have no effect until they are trained.

    Returns:
        The names of the network's tensors that the file does not have and that keep their initial values.

    Raises:
        ValueError: a stored tensor has no counterpart, or one of another shape.
    """
    own = network.state_dict()
    for name, tensor in loaded.tensors.items():
        target = own.get(name)
        if (
            target is None
            or target.ndim != tensor.ndim
            or any(
                a != b and (axis != 1 or a < b)
                for axis, (a, b) in enumerate(zip(target.shape, tensor.shape, strict=True))
            )
        ):
            shape = None if target is None else tuple(target.shape)
            raise ValueError(
                f"{loaded.path}: {name} {tuple(tensor.shape)} does not fit the network's {shape}"
            )
        if target.shape == tensor.shape:
            target.copy_(tensor)
        else:
            target.zero_()
            target[:, : tensor.shape[1]] = tensor.to(target)
    return sorted(own.keys() - loaded.tensors.keys())
