"""What all training on pictures of hands shares: options, data, conditions, the encoder's losses, validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from hand_pose_ros.common.dataclass_reading import read_dataclass
from hand_pose_ros.common.named_tensors import cat, rows, to
from hand_pose_ros.networks.condition import KeypointCondition
from hand_pose_ros.networks.image.image_encoder import (
    ImageEncoder,
    ImageFeatures,
    ImageFeaturesAndHeat,
    image_condition,
    normalised,
)
from hand_pose_ros.synthetic.detector.noise import DetectorNoise
from hand_pose_ros.synthetic.observed_hands import sample_hands
from hand_pose_ros.synthetic.poses.sampler import PoseSampler
from hand_pose_ros.training.parallel import ParallelEncoder
from hand_pose_ros.training.precision import full_precision
from hand_pose_ros.training.tasks.encoder_losses import (
    ImageLossWeights,
    equivariant_nt_xent,
    heat_loss,
    keypoint_losses,
    pose_weights,
    presence_loss,
)
from hand_pose_ros.training.tasks.hand_losses import (
    LossWeights,
    Targets,
    targets_of_generated,
)
from hand_pose_ros.training.tasks.image_batches import (
    ImageBatch,
    ImageBatches,
    ImageDataOptions,
    ImageSource,
)
from hand_pose_ros.training.tasks.image_validation import ImageValidation

_PROJECTION = 128


@dataclass(frozen=True)
class ImageLiftingOptions:
    """Options of the tasks in this file.

    network: configuration of the networks, see ``HandImageDiffusionConfig`` and ``HandImageRegressorConfig``.
    warm_start: weight file to start from, of the network without images or of this one; empty for random weights.
        The baseline takes the image encoder out of it, and nothing else.
    warm_rate: factor on the learning rate of what the network without images has, after a warm start.
    keypoint_hands: generated hands per step that have keypoints only, so that these alone stay enough.
    image_only, keypoints_only: shares of the pictures of which only one condition is shown; the others show both.
    encoder_threads: CPU threads of the image encoder, each with a part of the batch (``ParallelEncoder``).
    frozen_encoder: the image encoder stays as it is, and only what is made of its conditions is trained.
    losses: of the valid hand and the diffusion; all 0 to train the encoder alone. image_losses: of the encoder.
    """

    data: ImageDataOptions
    network: Mapping = field(default_factory=dict)
    warm_start: str = ""
    warm_rate: float = 0.3
    keypoint_hands: int = 48
    image_only: float = 0.45
    keypoints_only: float = 0.05
    encoder_threads: int = 1
    frozen_encoder: bool = False
    losses: LossWeights = field(default_factory=LossWeights)
    image_losses: ImageLossWeights = field(default_factory=ImageLossWeights)

    def __post_init__(self) -> None:
        if min(self.image_only, self.keypoints_only) < 0 or self.image_only + self.keypoints_only > 1:
            raise ValueError("image_only and keypoints_only must be shares that add up to 1 at most")
        if self.keypoint_hands < 0 or not self.warm_rate > 0:
            raise ValueError("keypoint_hands must not be negative, and warm_rate must be above 0")
        if self.frozen_encoder and not any(vars(self.losses).values()):
            raise ValueError("frozen_encoder leaves nothing to train where all losses of the hand are 0")


class ImageLifting:
    """What both tasks share: data, conditions, the encoder's losses, validation."""

    model: nn.Module

    def __init__(self, options: ImageLiftingOptions) -> None:
        pairs = options.image_losses.contrastive > 0
        self.options = replace(options, data=replace(options.data, pairs=pairs))
        self._sampler, self._noise = PoseSampler(), DetectorNoise()
        self._source = ImageSource(self.options.data)

    @classmethod
    def from_options(cls, options: Mapping) -> ImageLifting:
        """From the ``options`` of a training file."""
        return cls(read_dataclass(ImageLiftingOptions, options, "options"))

    def _start(self) -> None:
        """Once the model is there."""
        self.model.to(memory_format=torch.channels_last)
        self.model.image.requires_grad_(not self.options.frozen_encoder)
        self._encoder = ParallelEncoder(_WithHeat(self.model.image), self.options.encoder_threads)
        given = self.options.data, self.model.config.image, self._source, self._noise
        self._batches, self._validation = ImageBatches(*given), ImageValidation(*given)

    def metadata(self) -> dict:
        """The networks' configuration."""
        return self.model.config.to_dict()

    @property
    def _trains_poses(self) -> bool:
        """Whether anything but the encoder is trained."""
        return any(vars(self.options.losses).values())

    def prepare(self, generator: torch.Generator) -> None:
        """Start to make the batch of the step with this generator."""
        self._batches.prepare(generator)

    def losses(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Weighted loss terms of one fresh batch."""
        device = next(self.model.parameters()).device
        with full_precision():
            batch = to(self._batches.next(generator), device)
            images = normalised(batch.crops)
            generated = None
            count = self.options.keypoint_hands if self._trains_poses else 0
            if count:
                generated = to(sample_hands(count, self._sampler, self._noise, generator), device)
        seen, condition = self._see(images, batch.condition.half_extent)
        with full_precision():
            terms = {} if self.options.frozen_encoder else self._encoder_losses(seen, batch)
            if not self._trains_poses:
                return terms
            keypoints, shown = self._shown(batch, condition[: batch.count], generator)
            targets = _targets_of(batch)
            if generated is not None:
                keypoints = cat((keypoints, generated.observed.condition))
                shown = torch.cat((shown, torch.full_like(shown[:1], torch.nan).expand(count, -1)))
                targets = cat((targets, targets_of_generated(generated)))
            return terms | self._pose_losses(keypoints, shown, targets, generator)

    def _see(self, images: Tensor, half_extent: Tensor) -> tuple[ImageFeaturesAndHeat, Tensor]:
        """Of all crops; those that show no hand, at the end, have no view of their own."""
        extra = half_extent.new_ones(len(images) - len(half_extent))
        if self.options.frozen_encoder:
            self.model.image.eval()
            with torch.no_grad():
                seen = self.model.image.with_heat(images)
        else:
            encode = self._encoder if images.device.type == "cpu" else self.model.image.with_heat
            seen = encode(images)
        features = ImageFeatures(*seen[:-1])
        return seen, image_condition(features, torch.cat((half_extent, extra)))

    def _encoder_losses(self, seen: ImageFeaturesAndHeat, batch: ImageBatch) -> dict[str, Tensor]:
        weights, encoder = self.options.image_losses, self.model.image
        hands, margin = rows(seen, slice(batch.count)), encoder.config.margin
        terms = keypoint_losses(hands, batch.points, batch.depth, batch.weight, margin)
        if weights.heat:
            terms["heat"] = heat_loss(hands.log_heat, batch.points, batch.weight, margin)
        if weights.presence:
            terms["presence"] = presence_loss(seen.presence, batch.count)
        if weights.contrastive:
            projected = encoder.projection(hands.features)
            terms["contrastive"] = equivariant_nt_xent(
                projected, batch.roll_rad, batch.shift, batch.scale, weights.temperature
            )
        return {name: getattr(weights, name) * term for name, term in terms.items() if getattr(weights, name)}

    def _shown(
        self, batch: ImageBatch, condition: Tensor, generator: torch.Generator
    ) -> tuple[KeypointCondition, Tensor]:
        """Condition dropout: keypoints and image conditions, NaN where they are not shown."""
        draw = torch.rand(batch.count, generator=generator).to(condition.device)
        no_keypoints = draw < self.options.image_only
        no_image = draw > 1 - self.options.keypoints_only
        hidden = no_keypoints[:, None]
        keypoints = batch.condition._replace(
            points=batch.condition.points.masked_fill(hidden[..., None], torch.nan),
            depth=batch.condition.depth.masked_fill(hidden, torch.nan),
        )
        return keypoints, condition.masked_fill(no_image[:, None], torch.nan)

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """See :class:`ImageValidation`."""
        return self._validation(model, self._estimate)

    def _pose_losses(
        self, keypoints: KeypointCondition, image: Tensor, truth: Targets, generator: torch.Generator
    ) -> dict[str, Tensor]:
        raise NotImplementedError

    def _estimate(
        self, model: nn.Module, keypoints: KeypointCondition | None, image: Tensor | None
    ) -> Tensor:
        raise NotImplementedError


class _WithHeat(nn.Module):
    """The encoder as training calls it."""

    def __init__(self, encoder: ImageEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> ImageFeaturesAndHeat:
        return self.encoder.with_heat(images)


def _targets_of(batch: ImageBatch) -> Targets:
    """The truth about the hands that a batch shows; uncertain ones weigh less."""
    weights = pose_weights(batch.weight, batch.sigma, batch.joints)
    extent = batch.condition.half_extent
    return Targets(batch.joints, batch.wrist, extent, batch.angles, batch.rotation, weights)


def with_projection(options: ImageLiftingOptions) -> dict:
    """The networks' configuration; the contrastive loss brings the layers that it needs."""
    network = {name: dict(values or {}) for name, values in options.network.items()}
    image = network.setdefault("image", {})
    if options.image_losses.contrastive and not image.get("projection"):
        image["projection"] = _PROJECTION
    return network
