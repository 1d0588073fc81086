"""The task trains a 2.5D network on renders, photos and converted sets, labelled in 3D or in 2D only (eq. 9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros.common.dataclass_reading import read_dataclass
from hand_pose_ros.common.named_tensors import to
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.detection.mediapipe.network_files import read_stored
from hand_pose_ros.networks.heatmap.config import DIRECT, FAST, HOLISTIC, HeatmapConfig
from hand_pose_ros.networks.heatmap.landmark_encoder import LANDMARK_FILE
from hand_pose_ros.networks.heatmap.landmark_start import start_fast_network
from hand_pose_ros.networks.heatmap.network import HeatmapNetwork, StageOutput, network_images
from hand_pose_ros.networks.image.image_encoder import ImageEncoderConfig
from hand_pose_ros.networks.image.resnet import to_channels_last
from hand_pose_ros.networks.imported.network import import_network
from hand_pose_ros.networks.registry import HAND_HEATMAP
from hand_pose_ros.networks.weights import LoadedWeights, load_weights, restore
from hand_pose_ros.synthetic.detector.noise import DetectorNoise
from hand_pose_ros.training.precision import full_precision
from hand_pose_ros.training.tasks.heatmap.losses import (
    HeatmapLosses,
    PoseTruth,
    direct_terms,
    holistic_terms,
    latent_terms,
    spread_term,
)
from hand_pose_ros.training.tasks.heatmap.mixed_source import MixedSource
from hand_pose_ros.training.tasks.heatmap.presence import (
    ABSENT,
    PresenceValidation,
    mirrored_at_random,
    presence_terms,
)
from hand_pose_ros.training.tasks.heatmap.validation import HeatmapValidation
from hand_pose_ros.training.tasks.images.batches import ImageBatch, ImageBatches, ImageDataOptions

_ENCODER: Final = "encoder."
_REGRESSION: Final = "regression."
_PRESENCE: Final = "presence."
_STATISTICS_HANDS: Final = 256
_LEAST_DEVIATION: Final = 0.05


@dataclass(frozen=True)
class HeatmapOptions:
    """Options of the task ``hand_heatmap``.

    data: images and their augmentation; its ``pairs`` are not used, and ``negatives`` only for the presence.
    network: the variant and its size.
    share_2d: probability that an image is one labelled in 2D only, if there are both kinds.
    photos_in_2d: depths of photos, which come from a teacher, are not used in training.
    warm_start: weight file of the same kind and configuration to start from; empty for random weights. It may
        lack the head of the presence.
    only_presence: train that head alone, see :mod:`hand_pose_ros.training.tasks.heatmap.presence`; all other
        weights stay as they are in ``warm_start``.
    landmark_start: what ``warm_start`` does not give of the fast variant starts from MediaPipe's landmark network,
        which must then be stored.
    encoder_rate: factor on the learning rate of the fast variant's encoder and of the layers that regress its
        points; 0 freezes the encoder.
    frozen_blocks: first blocks of that encoder, and what is before them, that stay as they are; 0 for none.
    losses: weights of the terms.
    """

    data: ImageDataOptions
    network: HeatmapConfig = field(default_factory=HeatmapConfig)
    share_2d: float = 0.5
    photos_in_2d: bool = False
    warm_start: str = ""
    only_presence: bool = False
    landmark_start: bool = True
    encoder_rate: float = 0.1
    frozen_blocks: int = 0
    losses: HeatmapLosses = field(default_factory=HeatmapLosses)

    def __post_init__(self) -> None:
        if not 0 < self.share_2d < 1:
            raise ValueError(f"share_2d must lie between 0 and 1, got {self.share_2d}")
        if self.frozen_blocks < 0:
            raise ValueError(f"frozen_blocks must be 0 or more, got {self.frozen_blocks}")
        if self.encoder_rate < 0:
            raise ValueError(f"encoder_rate must be 0 or more, got {self.encoder_rate}")
        if self.only_presence and not (self.network.presence and self.warm_start and self.data.negatives):
            raise ValueError("only_presence needs network.presence, warm_start, and negatives in the data")


class HeatmapTraining:
    """The task holds the network, its data, the losses of its variant, and the validation."""

    def __init__(self, options: HeatmapOptions) -> None:
        """Build the network and open the images.

        Raises:
            ValueError: the images or the weights to start from are missing or do not fit.
            DetectorUnavailableError: the landmark network is asked for but not stored.
        """
        data = replace(options.data, pairs=False)
        if not options.only_presence:
            data = replace(data, negatives=0)
        self.options = options = replace(options, data=data)
        self.model = HeatmapNetwork(options.network)
        to_channels_last(self.model)
        crops = ImageEncoderConfig(size_px=options.network.image_size, margin=options.network.margin)
        source = MixedSource(data, options.share_2d, options.photos_in_2d)
        self._batches = ImageBatches(data, crops, source, DetectorNoise(), ABSENT)
        validation = PresenceValidation if options.only_presence else HeatmapValidation
        self._validation = validation(data, crops, source)
        self._start()

    @classmethod
    def from_options(cls, options: Mapping) -> HeatmapTraining:
        """Make the task from the ``options`` of a training file."""
        return cls(read_dataclass(HeatmapOptions, options, "options"))

    def _start(self) -> None:
        """Fill the network with what it starts from."""
        options, variant = self.options, self.options.network.variant
        warm = load_weights(options.warm_start, HAND_HEATMAP) if options.warm_start else None
        missing = {} if warm is None else _missing(self.model, warm)
        if variant == FAST and options.landmark_start and (warm is None or missing):
            start_fast_network(self.model, import_network(read_stored(LANDMARK_FILE)))
        if warm is not None:
            restore(self.model, replace(warm, tensors={**warm.tensors, **missing}))
        elif variant == HOLISTIC:
            self._set_pose_statistics()
        if variant == FAST:
            self.model.encoder.freeze(options.frozen_blocks if options.encoder_rate else None)
        if options.only_presence:
            self.model.requires_grad_(False)
            self.model.presence.requires_grad_(True)

    def _set_pose_statistics(self) -> None:
        """Set the mean and the standard deviation of the holistic network's poses, those of augmented crops."""
        batches = -(-_STATISTICS_HANDS // self.options.data.batch_size)
        seeds = np.random.default_rng(Seed.STATISTICS).integers(2**62, size=batches)
        truths = [self._truth(self._batches.make(int(seed))) for seed in seeds]
        poses = torch.cat([torch.cat((one.points, one.depth[..., None]), -1) for one in truths])
        known = poses.isfinite()
        count = known.sum(0).clamp(min=1)
        mean = torch.where(known, poses, 0.0).sum(0) / count
        square = torch.where(known, (poses - mean).square(), 0.0).sum(0) / count
        self.model.holistic.mean.copy_(mean)
        self.model.holistic.deviation.copy_(square.sqrt().clamp(min=_LEAST_DEVIATION))

    @property
    def learning_rates(self) -> Mapping[str, float]:
        """Factors on the learning rate: the landmark network's own blocks change slowly."""
        rate = self.options.encoder_rate
        trained = self.options.network.variant == FAST and rate and not self.options.only_presence
        return {_ENCODER: rate, _REGRESSION: rate} if trained else {}

    def metadata(self) -> dict:
        """Return the network's configuration."""
        return self.model.config.to_dict()

    def prepare(self, generator: torch.Generator) -> None:
        """Start to make the batch of this generator."""
        self._batches.prepare(generator)

    def losses(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the weighted loss terms of a new batch, each the sum over all stages."""
        device = next(self.model.parameters()).device
        with full_precision():
            batch = to(self._batches.next(generator), device)
            truth = self._truth(batch)
            images = network_images(batch.crops, device)
            if self.options.only_presence:
                images, right = mirrored_at_random(images, batch.count, generator)
                logits = self.model.hand_logits(images)
                return presence_terms(logits, batch.count, right, batch.weight)
        outputs = self.model.stages(images)
        with full_precision():
            weights = self.options.losses
            terms: dict[str, Tensor] = {}
            for output in outputs:
                of_stage = self._terms(output, truth)
                if weights.spread:
                    of_stage["spread"] = spread_term(output.joints, truth)
                for name, term in of_stage.items():
                    terms[name] = terms.get(name, 0.0) + getattr(weights, name) * term
            return {name: term for name, term in terms.items() if getattr(weights, name)}

    def _terms(self, output: StageOutput, truth: PoseTruth) -> dict[str, Tensor]:
        variant = self.options.network.variant
        if variant == DIRECT:
            return direct_terms(output, truth, self.options.losses)
        if variant == HOLISTIC:
            return holistic_terms(output, truth, self.model.holistic.deviation)
        return latent_terms(output, truth, self.options.losses)

    def _truth(self, batch: ImageBatch) -> PoseTruth:
        return PoseTruth.of_batch(batch, self.options.network)

    def validate(self, model: HeatmapNetwork) -> dict[str, float]:
        """Evaluate ``model``, see :class:`HeatmapValidation`, or :class:`PresenceValidation`."""
        return self._validation(model)


def _missing(model: HeatmapNetwork, loaded: LoadedWeights) -> dict[str, Tensor]:
    """Return what ``model`` holds of the presence and ``loaded`` lacks, which it may."""
    own = dict(model.state_dict())
    return {name: own[name] for name in own if name.startswith(_PRESENCE) and name not in loaded.tensors}
