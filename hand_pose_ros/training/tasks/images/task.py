"""The base of the tasks on hand images holds options, data, conditions, the encoder's losses, and validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from hand_pose_ros.common.dataclass_reading import read_dataclass
from hand_pose_ros.common.named_tensors import cat, rows, to
from hand_pose_ros.networks.condition import KeypointCondition
from hand_pose_ros.networks.image.image_encoder import (
    ImageFeatures,
    image_condition,
    normalised,
)
from hand_pose_ros.networks.image.resnet import to_channels_last
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
from hand_pose_ros.training.tasks.images.batches import (
    ImageBatch,
    ImageBatches,
    ImageDataOptions,
    ImageSource,
)
from hand_pose_ros.training.tasks.images.validation import ImageNetwork, ImageValidation

_PROJECTION = 128


@dataclass(frozen=True)
class ImageLiftingOptions:
    """Options of the tasks on hand images.

    network: configuration of the networks, see ``HandImageDiffusionConfig`` and ``HandImageRegressorConfig``.
    warm_start: weight file to start from, of the network without images or of this one; empty for random weights.
        The baseline uses the image encoder in it only.
    warm_rate: factor on the learning rate of the parameters that the network without images has.
    keypoint_hands: generated hands per step with keypoints only, so that keypoints alone remain sufficient.
    image_only, keypoints_only: shares of the images with one condition only; the others have both.
    encoder_threads: CPU threads of the image encoder, each with a part of the batch (``ParallelEncoder``).
    frozen_encoder: the image encoder is not trained.
    losses: weights for valid hand and diffusion; all 0 train the encoder alone. image_losses: for the encoder.
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
    """The base class holds data, conditions, the encoder's losses, and validation."""

    model: ImageNetwork

    def __init__(self, options: ImageLiftingOptions) -> None:
        pairs = options.image_losses.contrastive > 0
        self.options = replace(options, data=replace(options.data, pairs=pairs))
        self._sampler, self._noise = PoseSampler(), DetectorNoise()
        self._source = ImageSource(self.options.data, torch.initial_seed())  # the run's, see create_task

    @classmethod
    def from_options(cls, options: Mapping) -> ImageLifting:
        """Make the task from the ``options`` of a training file."""
        return cls(read_dataclass(ImageLiftingOptions, options, "options"))

    def _start(self) -> None:
        """Finish the construction once the model exists."""
        to_channels_last(self.model)
        self.model.image.requires_grad_(not self.options.frozen_encoder)
        self._encoder = ParallelEncoder(self.model.image, self.options.encoder_threads)
        given = self.options.data, self.model.config.image, self._source, self._noise
        self._batches, self._validation = ImageBatches(*given), ImageValidation(*given)

    def metadata(self) -> dict:
        """Return the networks' configuration."""
        return self.model.config.to_dict()

    @property
    def _trains_poses(self) -> bool:
        """Whether anything but the encoder is trained."""
        return any(vars(self.options.losses).values())

    def number_batch(self, generator: torch.Generator, number: int) -> None:
        """Take the number in the run of the batch of this generator."""
        self._batches.number(generator, number)

    def prepare(self, generator: torch.Generator) -> None:
        """Start to make the batch of this generator."""
        self._batches.prepare(generator)

    def losses(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the weighted loss terms of a new batch."""
        device = next(self.model.parameters()).device
        with full_precision():
            batch = to(self._batches.next(generator), device)
            images = normalised(batch.crops, device)
            generated = None
            count = self.options.keypoint_hands if self._trains_poses else 0
            if count:
                generated = to(sample_hands(count, self._sampler, self._noise, generator), device)
        encoded, condition = self._encode(images, batch.condition.half_extent)
        with full_precision():
            terms = {} if self.options.frozen_encoder else self._encoder_losses(encoded, batch)
            if not self._trains_poses:
                return terms
            keypoints, shown = self._shown(batch, condition[: batch.count], generator)
            targets = _targets_of(batch)
            if generated is not None:
                keypoints = cat((keypoints, generated.observed.condition))
                shown = torch.cat((shown, torch.full_like(shown[:1], torch.nan).expand(count, -1)))
                targets = cat((targets, targets_of_generated(generated)))
            return terms | self._pose_losses(keypoints, shown, targets, generator)

    def _encode(self, images: Tensor, half_extent: Tensor) -> tuple[ImageFeatures, Tensor]:
        """Encode all crops; the negatives, at the end, get a half extent of 1."""
        extra = half_extent.new_ones(len(images) - len(half_extent))
        if self.options.frozen_encoder:
            self.model.image.eval()
            with torch.no_grad():
                encoded = self.model.image(images)
        else:
            encode = self._encoder if images.device.type == "cpu" else self.model.image
            encoded = encode(images)
        return encoded, image_condition(encoded, torch.cat((half_extent, extra)))

    def _encoder_losses(self, encoded: ImageFeatures, batch: ImageBatch) -> dict[str, Tensor]:
        weights, encoder = self.options.image_losses, self.model.image
        hands, margin = rows(encoded, slice(batch.count)), encoder.config.margin
        terms = keypoint_losses(hands, batch.points, batch.depth, batch.weight, margin)
        if weights.heat:
            terms["heat"] = heat_loss(hands.log_heat, batch.points, batch.weight, margin)
        if weights.presence:
            terms["presence"] = presence_loss(encoded.presence, batch.count)
        if weights.contrastive:
            projected = encoder.projection(hands.features)
            terms["contrastive"] = equivariant_nt_xent(
                projected, batch.roll_rad, batch.shift, batch.scale, weights.temperature
            )
        return {name: getattr(weights, name) * term for name, term in terms.items() if getattr(weights, name)}

    def _shown(
        self, batch: ImageBatch, condition: Tensor, generator: torch.Generator
    ) -> tuple[KeypointCondition, Tensor]:
        """Apply condition dropout: returns keypoints and image conditions, NaN where they are dropped."""
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
    def validate(self, model: ImageNetwork) -> dict[str, float]:
        """Evaluate ``model``, see :class:`ImageValidation`."""
        return self._validation(model, self._estimate)

    def _pose_losses(
        self, keypoints: KeypointCondition, image: Tensor, truth: Targets, generator: torch.Generator
    ) -> dict[str, Tensor]:
        raise NotImplementedError

    def _estimate(
        self, model: ImageNetwork, keypoints: KeypointCondition | None, image: Tensor | None
    ) -> Tensor:
        raise NotImplementedError


def _targets_of(batch: ImageBatch) -> Targets:
    """Return the ground truth of a batch's hands; uncertain ones have less weight."""
    weights = pose_weights(batch.weight, batch.sigma, batch.joints)
    extent = batch.condition.half_extent
    return Targets(batch.joints, batch.wrist, extent, batch.angles, batch.rotation, weights)


def with_projection(options: ImageLiftingOptions) -> dict:
    """Return the networks' configuration, with the projection layers if the contrastive loss needs them."""
    network = {name: dict(values or {}) for name, values in options.network.items()}
    image = network.setdefault("image", {})
    if options.image_losses.contrastive and not image.get("projection"):
        image["projection"] = _PROJECTION
    return network
