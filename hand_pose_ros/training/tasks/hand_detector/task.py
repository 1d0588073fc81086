"""The task trains the hand detector on scenes of rendered layers, photos with pseudo-labels, and backgrounds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
import torch
from torch import Tensor

from hand_pose_ros.common.dataclass_reading import read_dataclass
from hand_pose_ros.common.named_tensors import to
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.detection.mediapipe.network_files import read_stored
from hand_pose_ros.hand_images.real.sources import TRAIN
from hand_pose_ros.hand_images.scenes.compose import Scene, SceneComposer, SceneOptions
from hand_pose_ros.hand_images.scenes.layers import SceneLayers, load_layers
from hand_pose_ros.hand_images.scenes.photos import HandPhotos, read_photos
from hand_pose_ros.networks.hand_detector.config import HandDetectorConfig
from hand_pose_ros.networks.hand_detector.network import HandDetector
from hand_pose_ros.networks.heatmap.landmark_encoder import LANDMARK_FILE, start_from_landmarks
from hand_pose_ros.networks.heatmap.network import network_images
from hand_pose_ros.networks.image.resnet import to_channels_last
from hand_pose_ros.networks.imported.network import import_network
from hand_pose_ros.networks.registry import HAND_DETECTOR
from hand_pose_ros.networks.weights import load_weights, restore
from hand_pose_ros.rendering.background import BackgroundStock
from hand_pose_ros.training.precision import full_precision
from hand_pose_ros.training.tasks.hand_detector.losses import DetectorLosses, detector_terms
from hand_pose_ros.training.tasks.hand_detector.targets import detector_targets
from hand_pose_ros.training.tasks.hand_detector.validation import DetectorValidation

_SEEDS: Final = 2**62
_KEPT: Final = 3  # batches made ahead at most
_HELD_BACK: Final = 0.04  # share of the layers and photos for validation


@dataclass(frozen=True)
class DetectorOptions:
    """Options of the task ``hand_detector``.

    layers: folder that `hand_pose scenes` filled; may be empty. photos: folders of photos with pseudo-labels, of
    which only the training sources are used; may be empty. network: its size. scenes: their composition.
    backgrounds: number of rooms and patterns that scenes are cut from. batch_size: scenes per step.
    validation_scenes: number of the fixed scenes of validation, made of held-back layers and photos.
    landmark_start: the encoder starts from MediaPipe's landmark network, which must be stored. frozen_blocks:
    blocks of the encoder, from the first, that keep these weights; -1 freezes nothing, 0 only the layers before
    the blocks.
    encoder_rate: factor on the learning rate of the encoder's other blocks. warm_start: weight file of the same
    configuration to start from. losses: weights of the terms.
    """

    layers: str = ""
    photos: tuple[str, ...] = ()
    network: HandDetectorConfig = field(default_factory=HandDetectorConfig)
    scenes: SceneOptions = field(default_factory=SceneOptions)
    backgrounds: int = 160
    batch_size: int = 32
    validation_scenes: int = 256
    landmark_start: bool = True
    frozen_blocks: int = -1
    encoder_rate: float = 0.3
    warm_start: str = ""
    losses: DetectorLosses = field(default_factory=DetectorLosses)

    def __post_init__(self) -> None:
        if not (self.layers or self.photos):
            raise ValueError("layers or photos must be given")
        if min(self.batch_size, self.validation_scenes, self.backgrounds) < 1:
            raise ValueError("batch_size, validation_scenes and backgrounds must be positive")
        if not self.encoder_rate > 0 or self.frozen_blocks < -1:
            raise ValueError("encoder_rate must be positive, and frozen_blocks -1 or more")


class DetectorTraining:
    """The task holds the network, the scenes, the losses, and the validation."""

    def __init__(self, options: DetectorOptions) -> None:
        """Build the network and open the images.

        Raises:
            ValueError: the images or the weights to start from are missing or do not fit.
            DetectorUnavailableError: the landmark network is asked for but not stored.
        """
        self.options = options
        self.model = HandDetector(options.network)
        to_channels_last(self.model)
        cv2.setNumThreads(1)  # its threads would only wait for those of the network
        layers = load_layers(options.layers) if options.layers else None
        photos = read_photos(options.photos, TRAIN) if options.photos else None
        backgrounds = BackgroundStock(
            np.random.default_rng([Seed.TRAINING, Seed.ARBITRARY]), options.backgrounds
        )
        (own_layers, other_layers), (own_photos, other_photos) = _split_layers(layers), _split_photos(photos)
        size = options.network.image_size
        self._composer = SceneComposer(size, own_layers, own_photos, backgrounds, options.scenes)
        held_back = SceneComposer(size, other_layers, other_photos, backgrounds, options.scenes)
        generator = np.random.default_rng(Seed.IMAGE_VALIDATION)
        self._validation = DetectorValidation(
            [held_back.make(generator) for _ in range(options.validation_scenes)]
        )
        self._pool = ThreadPoolExecutor(1, "scenes")
        self._ahead: OrderedDict[int, Future[list[Scene]]] = OrderedDict()
        self._start()

    @classmethod
    def from_options(cls, options: Mapping) -> DetectorTraining:
        """Make the task from the ``options`` of a training file."""
        return cls(read_dataclass(DetectorOptions, options, "options"))

    def _start(self) -> None:
        """Fill the network with what it starts from, and freeze the first blocks."""
        options, encoder = self.options, self.model.encoder
        if options.warm_start:
            restore(self.model, load_weights(options.warm_start, HAND_DETECTOR))
        elif options.landmark_start:
            start_from_landmarks(encoder, import_network(read_stored(LANDMARK_FILE)))
        if options.frozen_blocks >= 0:
            for part in (
                encoder.stem,
                encoder.depthwise,
                encoder.project,
                *encoder.blocks[: options.frozen_blocks],
            ):
                part.requires_grad_(False)

    @property
    def learning_rates(self) -> Mapping[str, float]:
        """Factors on the learning rate: the encoder's blocks change slowly."""
        trained = any(one.requires_grad for one in self.model.encoder.parameters())
        return {"encoder.": self.options.encoder_rate} if trained else {}

    def metadata(self) -> dict:
        """Return the network's configuration."""
        return self.model.config.to_dict()

    def prepare(self, generator: torch.Generator) -> None:
        """Start to make the batch of this generator."""
        seed = _seed(generator)
        if seed not in self._ahead:
            self._ahead[seed] = self._pool.submit(self._scenes, seed)
        while len(self._ahead) > _KEPT:
            self._ahead.popitem(last=False)[1].cancel()

    def _scenes(self, seed: int) -> list[Scene]:
        generator = np.random.default_rng(seed)
        return [self._composer.make(generator) for _ in range(self.options.batch_size)]

    def losses(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the weighted loss terms of a new batch."""
        device, seed = next(self.model.parameters()).device, _seed(generator)
        with full_precision():
            ahead = self._ahead.pop(seed, None)
            scenes = self._scenes(seed) if ahead is None else ahead.result()
            images = network_images(np.stack([scene.image for scene in scenes]), device)
            targets = detector_targets([scene.hands for scene in scenes], self.options.network.image_size)
            targets = to(targets, device)
        maps = self.model(images)
        with full_precision():
            weights = self.options.losses
            return {
                name: getattr(weights, name) * term
                for name, term in detector_terms(maps, targets).items()
                if getattr(weights, name)
            }

    def validate(self, model: HandDetector) -> dict[str, float]:
        """Evaluate ``model``, see :class:`DetectorValidation`."""
        return self._validation(model)


def _seed(generator: torch.Generator) -> int:
    return int(torch.randint(_SEEDS, (), generator=generator))


def _split_layers(layers: SceneLayers | None) -> tuple[SceneLayers | None, SceneLayers | None]:
    """Return the layers to train with, and the last ones, for validation."""
    if layers is None:
        return None, None
    last = max(1, round(_HELD_BACK * layers.count))
    if last >= layers.count:
        raise ValueError("at least two layers are needed")
    return SceneLayers(*(one[:-last] for one in layers)), SceneLayers(*(one[-last:] for one in layers))


def _split_photos(photos: HandPhotos | None) -> tuple[HandPhotos | None, HandPhotos | None]:
    """Return the photos to train with, and others for validation, which are of the same sources."""
    if photos is None:
        return None, None
    order = np.random.default_rng(Seed.IMAGE_VALIDATION).permutation(photos.count)
    last = max(1, round(_HELD_BACK * photos.count))
    if last >= photos.count:
        raise ValueError("at least two photos are needed")
    return photos.rows(order[:-last]), photos.rows(order[-last:])
