"""The task trains the diffusion network and its image encoder on hand images."""

from __future__ import annotations

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.networks.condition import KeypointCondition
from hand_pose_ros.networks.denoising.samplers import sample, sampling_steps
from hand_pose_ros.networks.diffusion.image_network import (
    HandImageDiffusion,
    HandImageDiffusionConfig,
    warm_start,
)
from hand_pose_ros.networks.diffusion.network import HandDiffusion
from hand_pose_ros.networks.registry import DENOISERS, HAND_DIFFUSION
from hand_pose_ros.networks.weights import load_weights
from hand_pose_ros.training.tasks.hand_losses import Targets, diffusion_losses
from hand_pose_ros.training.tasks.images.task import ImageLifting, ImageLiftingOptions, with_projection
from hand_pose_ros.training.tasks.keypoints import typical_joints

_OF_IMAGES = ("diffusion.encoder.image.", "diffusion.encoder.fuse.", "diffusion.encoder.absent_")
"""Prefixes of the diffusion network's parameters for images, which have no weights to start from."""


class ImageDiffusionLifting(ImageLifting):
    """The task trains :class:`HandImageDiffusion`."""

    model: HandImageDiffusion

    def __init__(self, options: ImageLiftingOptions) -> None:
        """``options.network``: fields of ``HandImageDiffusionConfig``; a warm start sets the diffusion's."""
        super().__init__(options)
        network, loaded = with_projection(options), None
        if options.warm_start:
            loaded = load_weights(options.warm_start, *DENOISERS)
            own = {"diffusion": loaded.config} if loaded.kind == HAND_DIFFUSION else loaded.config
            network |= {part: values | network.get(part, {}) for part, values in own.items()}
            self.learning_rates = dict.fromkeys(_OF_IMAGES, 1.0) | {"diffusion.": options.warm_rate}
        self.model = HandImageDiffusion(HandImageDiffusionConfig.from_dict(network))
        diffusion = self.model.diffusion
        if loaded is None:
            diffusion.set_statistics(typical_joints())
        elif loaded.kind == HAND_DIFFUSION:
            warm_start(diffusion, loaded)
            _silence_image(diffusion)
        else:
            warm_start(self.model, loaded)
        self._start()

    def _pose_losses(
        self, keypoints: KeypointCondition, image: Tensor, truth: Targets, generator: torch.Generator
    ) -> dict[str, Tensor]:
        model = self.model.diffusion
        return diffusion_losses(model, model.encode(keypoints, image), truth, self.options.losses, generator)

    def _estimate(
        self, model: HandImageDiffusion, keypoints: KeypointCondition | None, image: Tensor | None
    ) -> Tensor:
        """Return the valid hands (n, 21, 3) of the diffusion's first step, the mean over all plausible hands."""
        diffusion = model.diffusion
        encoded = diffusion.encode(keypoints, image)
        generator = torch.Generator().manual_seed(Seed.IMAGE_VALIDATION)
        noise = torch.randn(len(encoded.features), hand.NUM_JOINTS, 3, generator=generator).to(
            encoded.features
        )
        first = sampling_steps(diffusion.schedule, 1, diffusion.parametrisation)
        mean = sample(lambda x, t: diffusion.denoise(x, t, encoded), noise, first)
        return diffusion.fit(mean, encoded).joints


@torch.no_grad()
def _silence_image(diffusion: HandDiffusion) -> None:
    """Set the image's last norm to zero, so that the network starts with its results on keypoints."""
    for parameter in diffusion.encoder.image[-1].parameters():
        parameter.zero_()
