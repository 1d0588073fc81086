"""The diffusion estimator and its image encoder, trained on pictures of hands."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.networks.condition import KeypointCondition
from hand_pose_ros.networks.diffusion.image_network import (
    HandImageDiffusion,
    HandImageDiffusionConfig,
    warm_start,
)
from hand_pose_ros.networks.diffusion.network import HandDiffusion
from hand_pose_ros.networks.registry import DENOISERS, HAND_DIFFUSION
from hand_pose_ros.networks.weights import load_weights
from hand_pose_ros.synthetic.detector.noise import DetectorNoise
from hand_pose_ros.synthetic.observed_hands import sample_hands
from hand_pose_ros.synthetic.poses.sampler import PoseSampler
from hand_pose_ros.training.tasks.encoder_losses import weighted_mean
from hand_pose_ros.training.tasks.hand_losses import Targets, hand_losses
from hand_pose_ros.training.tasks.images import ImageLifting, ImageLiftingOptions, with_projection

_STATISTICS_HANDS = 8192
_OF_IMAGES = ("diffusion.encoder.image.", "diffusion.encoder.fuse.", "diffusion.encoder.absent_")
"""What the diffusion network has for images only, and learns from nothing."""


@lru_cache(maxsize=1)
def _typical_joints() -> Tensor:
    """(n, 21, 3) of hands whose mean and spread the diffusion is given."""
    generator = torch.Generator().manual_seed(Seed.STATISTICS)
    return sample_hands(_STATISTICS_HANDS, PoseSampler(), DetectorNoise(), generator).observed.joints


class ImageDiffusionLifting(ImageLifting):
    """Trains :class:`HandImageDiffusion`."""

    def __init__(self, options: ImageLiftingOptions) -> None:
        """``options.network``: of ``HandImageDiffusionConfig``; a warm start brings that of the diffusion."""
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
            diffusion.set_statistics(_typical_joints())
        elif loaded.kind == HAND_DIFFUSION:
            warm_start(diffusion, loaded)
            _silence_image(diffusion)
        else:
            warm_start(self.model, loaded)
        self._schedule = diffusion.schedule
        self._start()

    def _pose_losses(
        self, keypoints: KeypointCondition, image: Tensor, truth: Targets, generator: torch.Generator
    ) -> dict[str, Tensor]:
        model, schedule = self.model.diffusion, self._schedule
        encoded = model.encode(keypoints, image)
        known = truth.weights > 0
        x0 = model.standardise(truth.joints.masked_fill(~known[..., None], 0.0))
        t = torch.randint(schedule.steps, (len(x0),), generator=generator).to(x0.device)
        noise = torch.randn(x0.shape, generator=generator).to(x0)
        noisy = schedule.add_noise(x0, noise, t)
        prediction = model.denoise(noisy, t, encoded).float()
        target = x0 if model.parametrisation == "x0" else noise
        estimate, _ = schedule.x0_and_epsilon(noisy, prediction.detach(), t, model.parametrisation)
        error = (prediction - target).square().mean(-1)
        return {
            "diffusion": self.options.losses.diffusion * weighted_mean(error, truth.weights),
            **hand_losses(model.fit(estimate, encoded), truth, self.options.losses),
        }

    def _estimate(
        self, model: HandImageDiffusion, keypoints: KeypointCondition | None, image: Tensor | None
    ) -> Tensor:
        """The valid hands (n, 21, 3) of the diffusion's first step, which is the mean of all that fits."""
        diffusion = model.diffusion
        encoded = diffusion.encode(keypoints, image)
        generator = torch.Generator().manual_seed(Seed.IMAGE_VALIDATION)
        noise = torch.randn(len(encoded.features), hand.NUM_JOINTS, 3, generator=generator).to(
            encoded.features
        )
        first = torch.full((len(noise),), self._schedule.steps - 1, device=noise.device)
        prediction = diffusion.denoise(noise, first, encoded)
        mean, _ = self._schedule.x0_and_epsilon(noise, prediction, first, diffusion.parametrisation)
        return diffusion.fit(mean, encoded).joints


@torch.no_grad()
def _silence_image(diffusion: HandDiffusion) -> None:
    """Let the image add nothing at first to what the network makes of keypoints."""
    norm = diffusion.encoder.image[-1]
    norm.weight.zero_()
    norm.bias.zero_()
