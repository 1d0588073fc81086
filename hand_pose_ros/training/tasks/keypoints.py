"""The tasks train networks that lift keypoints: the diffusion estimator and the baseline without diffusion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.dataclass_reading import read_dataclass
from hand_pose_ros.common.named_tensors import to
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.networks.denoising.samplers import sample, sampling_steps
from hand_pose_ros.networks.diffusion.baseline import HandRegressor
from hand_pose_ros.networks.diffusion.network import HandDiffusion, HandDiffusionConfig
from hand_pose_ros.networks.network_config import NetworkConfig
from hand_pose_ros.synthetic.detector.noise import (
    DetectorNoise,
    DetectorVariety,
    KeypointNoise,
    MixedNoise,
    noise_of,
)
from hand_pose_ros.synthetic.observed_hands import SampledHands, sample_hands
from hand_pose_ros.synthetic.poses.sampler import PoseSampler
from hand_pose_ros.training.tasks.hand_losses import (
    LossWeights,
    diffusion_losses,
    hand_losses,
    targets_of_generated,
)

_STATISTICS_HANDS = 8192
_VALIDATION_STEPS = 5
_READ_VARIETY = DetectorVariety(without_depth=0.05, incomplete=0.05, with_confidence=0.0)


@dataclass(frozen=True)
class LiftingOptions:
    """Options of the tasks in this file, apart from ``network``.

    batch_size: hands per step. validation_hands: size of the fixed set that validation uses. heatmap_share: of the
        hands whose keypoints have the errors of the fast 2.5D network; the others have MediaPipe's.
    """

    batch_size: int = 512
    validation_hands: int = 1000
    heatmap_share: float = 0.0
    losses: LossWeights = field(default_factory=LossWeights)

    def __post_init__(self) -> None:
        if not 0 <= self.heatmap_share <= 1:
            raise ValueError(f"heatmap_share must lie in [0, 1], got {self.heatmap_share}")


@lru_cache(maxsize=1)
def typical_joints() -> Tensor:
    """Return joints (n, 21, 3) of generated hands; their mean and spread standardise the diffusion."""
    generator = torch.Generator().manual_seed(Seed.STATISTICS)
    return sample_hands(_STATISTICS_HANDS, PoseSampler(), DetectorNoise(), generator).observed.joints


def keypoint_noise(heatmap_share: float) -> KeypointNoise:
    """Errors of the keypoints, those of the fast 2.5D network in this share of the hands, else MediaPipe's."""
    if not heatmap_share:
        return DetectorNoise()
    noises = noise_of("heatmap", _READ_VARIETY), DetectorNoise()
    return MixedNoise(noises, (heatmap_share, 1 - heatmap_share))


class _Lifting:
    """The base class holds the network and the data of both tasks."""

    network_class: ClassVar
    model: HandDiffusion | HandRegressor

    def __init__(self, options: LiftingOptions, network: NetworkConfig) -> None:
        self.options = options
        self.model = self.network_class(network)
        self._sampler, self._noise = PoseSampler(), keypoint_noise(options.heatmap_share)
        self._validation: SampledHands | None = None

    @classmethod
    def from_options(cls, options: Mapping) -> _Lifting:
        """Make the task from the ``options`` of a training file; ``network`` holds those of the network.

        Raises:
            ValueError: an unknown option or a bad value.
        """
        options = dict(options)
        network = cls.network_class.config_class.from_dict(options.pop("network", None) or {})
        return cls(read_dataclass(LiftingOptions, options, "options"), network)

    def metadata(self) -> dict:
        """Return the network's configuration."""
        return self.model.config.to_dict()

    def _batch(self, count: int, generator: torch.Generator) -> SampledHands:
        """Make ``count`` hands on the model's device."""
        hands = sample_hands(count, self._sampler, self._noise, generator)
        return to(hands, next(self.model.parameters()).device)

    def _validation_batch(self) -> SampledHands:
        if self._validation is None:
            generator = torch.Generator().manual_seed(Seed.KEYPOINT_VALIDATION)
            self._validation = self._batch(self.options.validation_hands, generator)
        return self._validation


class DiffusionLifting(_Lifting):
    """The task trains :class:`HandDiffusion`: the diffusion loss, and the IK head on the U-Net's estimates."""

    network_class = HandDiffusion
    model: HandDiffusion

    def __init__(self, options: LiftingOptions, network: HandDiffusionConfig) -> None:
        super().__init__(options, network)
        self.model.set_statistics(typical_joints())

    def losses(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the weighted loss terms of a new batch."""
        batch = self._batch(self.options.batch_size, generator)
        encoded = self.model.encode(batch.observed.condition, generator=generator)
        return diffusion_losses(
            self.model, encoded, targets_of_generated(batch), self.options.losses, generator
        )

    @torch.no_grad()
    def validate(self, model: HandDiffusion) -> dict[str, float]:
        """Return the mean joint error of one sample per hand, after U-Net and after IK head, millimetres."""
        batch, generator = self._validation_batch(), torch.Generator().manual_seed(Seed.KEYPOINT_VALIDATION)
        encoded, truth = model.encode(batch.observed.condition), batch.observed.joints
        noise = torch.randn(truth.shape, generator=generator).to(truth)

        def drawn(steps: int) -> Tensor:
            walk = sampling_steps(model.schedule, steps, model.parametrisation)
            return sample(lambda x, t: model.denoise(x, t, encoded), noise, walk)

        x0 = drawn(min(_VALIDATION_STEPS, model.schedule.steps))
        return {
            "unet_mm": _mean_error_mm(encoded.to_joints(x0), truth),
            "head_mm": _mean_error_mm(model.fit(x0, encoded).joints, truth),
            "head_of_mean_mm": _mean_error_mm(model.fit(drawn(1), encoded).joints, truth),
        }


class RegressionLifting(_Lifting):
    """The task trains :class:`HandRegressor`, the baseline, with the same data and the hand losses."""

    network_class = HandRegressor

    def losses(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the weighted loss terms of a new batch."""
        batch = self._batch(self.options.batch_size, generator)
        predicted = self.model(batch.observed.condition, generator=generator)
        return hand_losses(predicted, targets_of_generated(batch), self.options.losses)

    @torch.no_grad()
    def validate(self, model: HandRegressor) -> dict[str, float]:
        """Return the mean joint error, millimetres."""
        batch = self._validation_batch()
        return {"head_mm": _mean_error_mm(model(batch.observed.condition).joints, batch.observed.joints)}


def _mean_error_mm(joints: Tensor, truth: Tensor) -> float:
    return float((joints - truth).norm(dim=-1).mean()) * hand.MEAN_ANCHOR_LENGTH_MM
