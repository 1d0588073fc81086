"""What is trained to lift keypoints: the diffusion estimator and the baseline without diffusion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import torch
from torch import Tensor, nn

from hand_pose_ros import hand
from hand_pose_ros.common.named_tensors import to
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.networks.denoising.samplers import sample, sampling_steps
from hand_pose_ros.networks.diffusion.baseline import HandRegressor, HandRegressorConfig
from hand_pose_ros.networks.diffusion.network import HandDiffusion, HandDiffusionConfig
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.synthetic.detector.noise import DetectorNoise
from hand_pose_ros.synthetic.observed_hands import SampledHands, sample_hands
from hand_pose_ros.synthetic.poses.sampler import PoseSampler

_STATISTICS_HANDS = 8192
_VALIDATION_STEPS = 5
_MIN_DEPTH = 0.3  # anchor lengths
_MIN_HALF_EXTENT = 0.03  # of a view: a hand at 3 m
_MM = 1000 * hand.MEAN_ANCHOR_LENGTH_M  # per anchor length


@dataclass(frozen=True)
class LossWeights:
    """Weights of the loss terms (diffusion + FK paper, 2.4 and 2.5); 0 leaves a term out.

    diffusion: squared error of what the U-Net predicts, standardised. camera, canonical: L1 of the valid hand's
        joints in the view's frame and in the wrist's. reprojection: L1 in the canonical view, in multiples of its
        half extent. angles: L1 in radians, against the sampler's own angles: joints do not determine them all.
    """

    diffusion: float = 1.0
    camera: float = 2.0
    canonical: float = 1.0
    reprojection: float = 0.5
    angles: float = 0.2


@dataclass(frozen=True)
class LiftingOptions:
    """Options of the tasks in this file.

    batch_size: hands per step. validation_hands: size of the fixed set that validation uses.
    """

    batch_size: int = 512
    validation_hands: int = 1000
    losses: LossWeights = field(default_factory=LossWeights)

    @classmethod
    def from_dict(cls, options: Mapping) -> LiftingOptions:
        """From the ``options`` of a training file, without ``network``.

        Raises:
            ValueError: an unknown key.
        """
        options = dict(options)
        known = {option.name for option in fields(cls)}
        weights = dict(options.pop("losses", None) or {})
        unknown = sorted((options.keys() - known) | (weights.keys() - {f.name for f in fields(LossWeights)}))
        if unknown:
            raise ValueError(f"unknown options of the task: {', '.join(unknown)}")
        return cls(losses=LossWeights(**weights), **options)


class _Lifting:
    """What both tasks share: their data and the losses of a valid hand."""

    model: nn.Module

    def __init__(self, options: LiftingOptions) -> None:
        self.options = options
        self._sampler, self._noise = PoseSampler(), DetectorNoise()
        self._validation: SampledHands | None = None

    def metadata(self) -> dict:
        """The network's configuration."""
        return self.model.config.to_dict()

    def _batch(self, count: int, generator: torch.Generator) -> SampledHands:
        """``count`` hands on the model's device."""
        return to(
            sample_hands(count, self._sampler, self._noise, generator), next(self.model.parameters()).device
        )

    def _validation_batch(self) -> SampledHands:
        if self._validation is None:
            generator = torch.Generator().manual_seed(Seed.KEYPOINT_VALIDATION)
            self._validation = self._batch(self.options.validation_hands, generator)
        return self._validation

    def _hand_losses(self, predicted: HandParameters, truth: SampledHands) -> dict[str, Tensor]:
        weights, observed = self.options.losses, truth.observed
        canonical = predicted.joints @ predicted.rotation
        true_canonical = observed.joints @ truth.rotation
        terms = {
            "camera": weights.camera * (predicted.joints - observed.joints).abs().mean(),
            "canonical": weights.canonical * (canonical - true_canonical).abs().mean(),
            "reprojection": weights.reprojection * self._reprojection(predicted.joints, truth).mean(),
            "angles": weights.angles * (predicted.angles - truth.angles).abs().mean(),
        }
        return {name: term for name, term in terms.items() if getattr(weights, name)}

    @staticmethod
    def _reprojection(joints: Tensor, truth: SampledHands) -> Tensor:
        """L1 distance (n, 21, 2) in the view of predicted joints, placed at the true wrist, from the true ones.

        Depth and the view's extent are bounded away from zero, where the projection has a pole.
        """
        observed = truth.observed
        extent = observed.view.half_extent.clamp(min=_MIN_HALF_EXTENT)[:, None, None]

        def project(relative: Tensor) -> Tensor:
            placed = relative + observed.wrist[:, None]
            return placed[..., :2] / placed[..., 2:].clamp(min=_MIN_DEPTH) / extent

        return (project(joints) - project(observed.joints)).abs()


class DiffusionLifting(_Lifting):
    """Trains :class:`HandDiffusion`: the diffusion loss, and the IK head on what the U-Net estimates."""

    def __init__(self, options: LiftingOptions, network: HandDiffusionConfig) -> None:
        super().__init__(options)
        self.model = HandDiffusion(network)
        generator = torch.Generator().manual_seed(Seed.STATISTICS)
        self.model.set_statistics(self._batch(_STATISTICS_HANDS, generator).observed.joints)
        self._schedule = self.model.schedule

    @classmethod
    def from_options(cls, options: Mapping) -> DiffusionLifting:
        """From the ``options`` of a training file; ``network`` holds those of the network."""
        options = dict(options)
        network = HandDiffusionConfig.from_dict(options.pop("network", None) or {})
        return cls(LiftingOptions.from_dict(options), network)

    def losses(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Weighted loss terms of one fresh batch."""
        model, schedule = self.model, self._schedule
        batch = self._batch(self.options.batch_size, generator)
        encoded = model.encode(batch.observed.condition, generator=generator)
        x0 = model.standardise(batch.observed.joints)
        t = torch.randint(schedule.steps, (len(x0),), generator=generator).to(x0.device)
        noise = torch.randn(x0.shape, generator=generator).to(x0)
        noisy = schedule.add_noise(x0, noise, t)
        prediction = model.denoise(noisy, t, encoded).float()
        target = x0 if model.config.parametrisation == "x0" else noise
        estimate, _ = schedule.x0_and_epsilon(noisy, prediction.detach(), t, model.config.parametrisation)
        return {
            "diffusion": self.options.losses.diffusion * (prediction - target).square().mean(),
            **self._hand_losses(model.fit(estimate, encoded), batch),
        }

    @torch.no_grad()
    def validate(self, model: HandDiffusion) -> dict[str, float]:
        """Mean joint error of one sample per hand, as the U-Net and as the IK head leave it, millimetres."""
        batch = self._validation_batch()
        encoded = model.encode(batch.observed.condition)
        noise = torch.randn(
            batch.observed.joints.shape, generator=torch.Generator().manual_seed(Seed.KEYPOINT_VALIDATION)
        ).to(batch.observed.joints)
        count = min(_VALIDATION_STEPS, self._schedule.steps)
        walk = sampling_steps(self._schedule, count, model.config.parametrisation)
        x0 = sample(lambda x, t: model.denoise(x, t, encoded), noise, walk)
        first = torch.full((len(noise),), self._schedule.steps - 1, device=noise.device)
        mean, _ = self._schedule.x0_and_epsilon(
            noise, model.denoise(noise, first, encoded), first, model.config.parametrisation
        )
        truth = batch.observed.joints
        return {
            "unet_mm": _mean_error_mm(model.joints(x0), truth),
            "head_mm": _mean_error_mm(model.fit(x0, encoded).joints, truth),
            "head_of_mean_mm": _mean_error_mm(model.fit(mean, encoded).joints, truth),
        }


class RegressionLifting(_Lifting):
    """Trains :class:`HandRegressor`, the baseline, with the same data and the losses that it shares."""

    def __init__(self, options: LiftingOptions, network: HandRegressorConfig) -> None:
        super().__init__(options)
        self.model = HandRegressor(network)

    @classmethod
    def from_options(cls, options: Mapping) -> RegressionLifting:
        """From the ``options`` of a training file; ``network`` holds those of the network."""
        options = dict(options)
        network = HandRegressorConfig.from_dict(options.pop("network", None) or {})
        return cls(LiftingOptions.from_dict(options), network)

    def losses(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Weighted loss terms of one fresh batch."""
        batch = self._batch(self.options.batch_size, generator)
        return self._hand_losses(self.model(batch.observed.condition, generator=generator), batch)

    @torch.no_grad()
    def validate(self, model: HandRegressor) -> dict[str, float]:
        """Mean joint error, millimetres."""
        batch = self._validation_batch()
        return {"head_mm": _mean_error_mm(model(batch.observed.condition).joints, batch.observed.joints)}


def _mean_error_mm(joints: Tensor, truth: Tensor) -> float:
    return float((joints - truth).norm(dim=-1).mean()) * _MM
