"""The module makes batches of hand images and detected keypoints from shards.

A batch depends on the shards and its seed only. A separate thread makes it with NumPy and OpenCV while the network
processes the previous one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from hand_pose_ros.common.named_tensors import cat
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.files.bounded_text import shown
from hand_pose_ros.hand_images.augmentation.augment import AugmentationConfig, augment
from hand_pose_ros.hand_images.augmentation.view_jitter import change_labels
from hand_pose_ros.hand_images.keypoints import crop_views, noisy_keypoints
from hand_pose_ros.hand_images.labelled.set_source import SetSource, folders_with_sets
from hand_pose_ros.hand_images.real.sources import sampling_weights
from hand_pose_ros.hand_images.shards import HandImages, ShardedHandImages
from hand_pose_ros.networks.condition import KeypointCondition
from hand_pose_ros.networks.image.image_encoder import ImageEncoderConfig
from hand_pose_ros.synthetic.detector.noise import DetectorNoise
from hand_pose_ros.training.tasks.images.negatives import KINDS, off_the_hand
from hand_pose_ros.training.tasks.images.sampling import EpochOrder, folder_of_rows, mixed_by_group

_SEEDS = 2**62
_KEPT = 3  # batches made ahead at most
SAMPLINGS = ("weighted", "epochs")


@dataclass(frozen=True)
class ImageDataOptions:
    """Sources of the images, and the composition of a batch.

    rendered, real: folders of shards; either list may be empty. share_real: share of a batch, if both are given.
    real_weights: how often each folder of ``real`` is drawn, relative to the others, for sets that are mixed; if
        empty, all real images are drawn by ``sampling_weights``.
    sets: public data sets by name, which follow the folders of ``real`` as real images, with weights of their own.
    sampling: 'weighted' draws images at random, again and again, by these weights; 'epochs' takes each image once
        before any comes again, over all processes, and knows no weights.
    batch_size: images per step. pairs: every image comes twice, in two augmentations, for contrastive losses.
    negatives: additional crops per step that do not show a right hand at the expected position.
    detector_views: share of the crops that noisy detected keypoints define, as at run time; the others have a
        larger random jitter.
    validation_rendered, validation_real: folders of shards to validate on, at most held_back images of each. If
        they are empty, held_back images at the end of the training shards are used instead, and not trained on.
    """

    rendered: tuple[str, ...] = ()
    real: tuple[str, ...] = ()
    share_real: float = 0.35
    real_weights: tuple[float, ...] = ()
    sets: tuple[SetSource, ...] = ()
    sampling: str = SAMPLINGS[0]
    batch_size: int = 96
    pairs: bool = False
    negatives: int = 8
    detector_views: float = 0.35
    held_back: int = 256
    validation_rendered: tuple[str, ...] = ()
    validation_real: tuple[str, ...] = ()
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)

    def __post_init__(self) -> None:
        if not (self.rendered or self.real or self.sets):
            raise ValueError("rendered, real or sets must name at least one folder of images")
        if not 0 <= self.share_real <= 1 or not 0 <= self.detector_views <= 1:
            raise ValueError("share_real and detector_views must lie in [0, 1]")
        if self.real_weights and (len(self.real_weights) != len(self.real) or min(self.real_weights) <= 0):
            raise ValueError("real_weights must be a positive number for each folder of real, or empty")
        weighted = [bool(self.real_weights)] * len(self.real) + [one.weight is not None for one in self.sets]
        if any(weighted) and not all(weighted):
            raise ValueError("sets and real must all have a weight, or none: give weight and real_weights")
        if self.sampling not in SAMPLINGS or (self.sampling == "epochs" and any(weighted)):
            raise ValueError(
                f"sampling must be one of {', '.join(SAMPLINGS)}, and 'weighted' where images have weights, got "
                f"{shown(self.sampling)}"
            )
        if self.batch_size < 2 or self.negatives < 0 or self.held_back < 1:
            raise ValueError("batch_size must be 2 or more, negatives 0 or more, held_back 1 or more")
        if self.pairs and self.batch_size % 2:
            raise ValueError("batch_size must be even for pairs")

    @property
    def weights(self) -> tuple[float, ...]:
        """How often each folder of real images is drawn; empty if none has a weight."""
        return (*self.real_weights, *(one.weight for one in self.sets if one.weight is not None))


class ImageBatch(NamedTuple):
    """n hand images and k negatives, as tensors.

    crops: (n + k, s, s, 3) uint8 BGR. condition: detected keypoints of the n hands, in the crops' views.
    Labels of the n hands in the crops' views, see :class:`~hand_pose_ros.hand_images.shards.HandImages`:
    points, depth, visible, joints, wrist, angles, proportions, rotation, sigma, weight, source.
    roll_rad (n,), shift (n, 2), scale (n,): how the crop's view differs from the stored one; with ``pairs`` the
    hands n / 2 to n repeat the first half, with another augmentation.
    """

    crops: Tensor
    condition: KeypointCondition
    points: Tensor
    depth: Tensor
    visible: Tensor
    joints: Tensor
    wrist: Tensor
    angles: Tensor
    proportions: Tensor
    rotation: Tensor
    sigma: Tensor
    weight: Tensor
    source: Tensor
    roll_rad: Tensor
    shift: Tensor
    scale: Tensor

    @property
    def count(self) -> int:
        """n, the number of hands."""
        return len(self.points)


class ImageSource:
    """The images for training and for validation.

    sets: name, 'rendered' or 'real', -> the table, its training rows, and the probability of each row.
    held_back: name -> images for validation.
    """

    def __init__(self, options: ImageDataOptions, seed: int = Seed.ARBITRARY) -> None:
        """Open the shards; those of public sets are made first, where they are missing.

        Args:
            seed: of the order of the images, if they are read by epochs.

        Raises:
            ValueError: a folder holds no shard, or too few images; or a set is missing or malformed.
        """
        self.sets: dict[str, tuple[ShardedHandImages, np.ndarray, np.ndarray]] = {}
        self.held_back: dict[str, HandImages] = {}
        self._orders: dict[str, EpochOrder] = {}
        of_names = {"rendered": options.rendered, "real": folders_with_sets(options.real, options.sets)}
        for name, folders in of_names.items():
            if not folders:
                continue
            table = ShardedHandImages(folders)
            rows = np.arange(len(table))
            apart = getattr(options, f"validation_{name}")
            if apart:
                other = ShardedHandImages(apart)
                count = min(options.held_back, len(other))
                self.held_back[name] = other.rows(np.arange(count) * len(other) // count)  # of all sources
            else:
                if len(table) <= options.held_back:
                    raise ValueError(
                        f"{name} has {len(table)} images, of which {options.held_back} are held back"
                    )
                rows, last = rows[: -options.held_back], rows[-options.held_back :]
                self.held_back[name] = table.rows(last)
            source = np.concatenate([shard.source for shard in table.shards])[rows]
            probability = sampling_weights(source)
            if name == "real" and options.weights:
                folder = folder_of_rows(folders)[rows]
                probability = mixed_by_group(probability, folder, options.weights)
            self.sets[name] = (table, rows, probability)
            if options.sampling == "epochs":
                self._orders[name] = EpochOrder(len(rows), seed, len(self.sets))
        self._share_real = {(True, True): options.share_real, (False, True): 1.0}.get(
            ("rendered" in self.sets, "real" in self.sets), 0.0
        )

    def draw(self, count: int, generator: np.random.Generator, batch: int | None = None) -> HandImages:
        """Draw ``count`` images, the rendered ones first; the number of real ones is their share, rounded.

        Photos are weighted by :func:`~hand_pose_ros.hand_images.real.sources.sampling_weights`. By epochs the
        rows are those of the batch with the number ``batch`` in the run.

        Raises:
            ValueError: by epochs without the number.
        """
        if self._orders and batch is None:
            raise ValueError("images are read by epochs only where the trainer numbers the batches")
        real = round(count * self._share_real)
        parts = []
        for name, number in (("rendered", count - real), ("real", real)):
            if number:
                table, rows, probability = self.sets[name]
                order = self._orders.get(name)
                if order is None or batch is None:
                    chosen = generator.choice(rows, number, p=probability)
                else:
                    chosen = rows[order.take(batch, number)]
                parts.append(table.rows(chosen))
        return cat(parts)


class ImageBatches:
    """The class makes batches, ahead of time if their seed is known."""

    def __init__(
        self,
        options: ImageDataOptions,
        encoder: ImageEncoderConfig,
        source: ImageSource,
        noise: DetectorNoise,
        negative_kinds: Mapping[str, float] = KINDS,
    ) -> None:
        """``encoder``: defines the crops. ``negative_kinds``: of the negatives, with their frequencies."""
        self._negative_kinds = negative_kinds
        self._options, self._encoder, self._source, self._noise = options, encoder, source, noise
        self._pool = ThreadPoolExecutor(1, "image-batches")
        self._ahead: OrderedDict[int, Future[ImageBatch]] = OrderedDict()
        self._numbers: OrderedDict[int, int] = OrderedDict()
        cv2.setNumThreads(1)  # its threads would only wait for those of the network

    def number(self, generator: torch.Generator, batch: int) -> None:
        """Say the number in the run of the batch of a generator of the same state."""
        self._numbers[_seed(generator)] = batch
        while len(self._numbers) > 2 * _KEPT:
            self._numbers.popitem(last=False)

    def prepare(self, generator: torch.Generator) -> None:
        """Start to make the batch that :meth:`next` returns for a generator of the same state."""
        seed = _seed(generator)
        if seed not in self._ahead:
            self._ahead[seed] = self._pool.submit(self.make, seed, self._numbers.get(seed))
        while len(self._ahead) > _KEPT:
            self._ahead.popitem(last=False)[1].cancel()

    def next(self, generator: torch.Generator) -> ImageBatch:
        """Return the batch of this generator; it does not depend on a call of :meth:`prepare`."""
        seed = _seed(generator)
        ahead = self._ahead.pop(seed, None)
        return self.make(seed, self._numbers.get(seed)) if ahead is None else ahead.result()

    def make(self, seed: int, batch: int | None = None) -> ImageBatch:
        """Make the batch of a seed. ``batch``: its number in the run, for images that are read by epochs."""
        options, generator = self._options, np.random.default_rng(seed)
        count = options.batch_size
        drawn = self._source.draw(count // 2 if options.pairs else count, generator, batch)
        hands = cat((drawn, drawn)) if options.pairs else drawn
        negatives = None
        if options.negatives:
            chosen = hands.rows(generator.integers(hands.count, size=options.negatives))
            size = self._encoder.size_px, self._encoder.margin
            negatives = off_the_hand(chosen, options.augmentation, generator, *size, self._negative_kinds)
        return observed_batch(hands, options, self._encoder, self._noise, generator, negatives)


def observed_batch(
    hands: HandImages,
    options: ImageDataOptions,
    encoder: ImageEncoderConfig,
    noise: DetectorNoise,
    generator: np.random.Generator,
    negatives: np.ndarray | None = None,
) -> ImageBatch:
    """Make the batch of stored hands: crops, augmented as ``options`` says, and keypoints.

    The keypoints are stored detections of the image if there are any, else the truth with a detector's noise.

    Args:
        negatives: (k, s, s, 3) crops without a right hand, appended to the hands' crops.
    """
    noisy = noisy_keypoints(hands, noise, torch.Generator().manual_seed(int(generator.integers(_SEEDS))))
    points, depth, confidence = (value.numpy() for value in noisy[:3])
    detected = hands.has_detection
    points = np.where(detected[:, None, None], hands.detected[..., :2], points)
    confidence = np.where(detected[:, None], np.nan, confidence).astype(np.float32)
    change = crop_views(hands, points, options.detector_views, options.augmentation.view, generator)
    size = encoder.size_px, encoder.margin
    augmented = augment(hands, options.augmentation, generator, *size, change).hands
    changed = change_labels(hands._replace(points=points, depth=depth), change)
    # As at run time, depths of a detector are not turned with the view.
    depth = np.where(detected[:, None], hands.detected[..., 2], changed.depth)
    condition = KeypointCondition(
        torch.from_numpy(changed.points),
        torch.from_numpy(depth),
        torch.from_numpy(confidence),
        torch.from_numpy(np.array(hands.inside)),
        torch.from_numpy(changed.half_extent),
    )
    crops = augmented.image if negatives is None else np.concatenate((augmented.image, negatives))
    labels = {name: torch.from_numpy(np.array(getattr(augmented, name))) for name in _LABELS}
    of_change = {name: torch.from_numpy(np.float32(getattr(change, name))) for name in _OF_CHANGE}
    return ImageBatch(torch.from_numpy(crops), condition, **labels, **of_change)


_LABELS = (
    "points",
    "depth",
    "visible",
    "joints",
    "wrist",
    "angles",
    "proportions",
    "rotation",
    "sigma",
    "weight",
    "source",
)
_OF_CHANGE = ("roll_rad", "shift", "scale")


def _seed(generator: torch.Generator) -> int:
    return int(torch.randint(_SEEDS, (), generator=generator))
