"""Batches of hands in pictures, with a detector's keypoints beside them: from shards of images to a step's input.

A batch depends on the shards and on one number, its seed, and is made with NumPy and OpenCV in a thread of
its own, while the network is busy with the one before.
"""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from hand_pose_ros.common.named_tensors import cat
from hand_pose_ros.hand_images.augmentation.augment import AugmentationConfig, augment
from hand_pose_ros.hand_images.augmentation.view_jitter import change_labels
from hand_pose_ros.hand_images.keypoints import crop_views, noisy_keypoints
from hand_pose_ros.hand_images.real.sources import sampling_weights
from hand_pose_ros.hand_images.shards import HandImages, ShardedHandImages
from hand_pose_ros.networks.condition import KeypointCondition
from hand_pose_ros.networks.image.image_encoder import ImageEncoderConfig
from hand_pose_ros.synthetic.detector.noise import DetectorNoise
from hand_pose_ros.training.tasks.image_negatives import off_the_hand

_SEEDS = 2**62
_KEPT = 3  # batches that are made ahead and not yet asked for


@dataclass(frozen=True)
class ImageDataOptions:
    """Where the pictures come from, and what a batch is made of.

    rendered, real: folders of shards; either list may be empty. share_real: of a batch, if there are both.
    batch_size: pictures per step. pairs: every picture comes twice, in two augmentations, as contrastive losses
        need it. negatives: crops per step that do not show a right hand where one is expected, besides.
    detector_views: share of the crops that are cut where a detector's noisy keypoints say, as at run time; the
        others are jittered at random, more widely.
    validation_rendered, validation_real: folders of shards to validate on, at most held_back pictures of
        each. Where they are not given, as many at the end of what is listed above are held back from training.
    """

    rendered: tuple[str, ...] = ()
    real: tuple[str, ...] = ()
    share_real: float = 0.35
    batch_size: int = 96
    pairs: bool = False
    negatives: int = 8
    detector_views: float = 0.35
    held_back: int = 256
    validation_rendered: tuple[str, ...] = ()
    validation_real: tuple[str, ...] = ()
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)

    def __post_init__(self) -> None:
        if not (self.rendered or self.real):
            raise ValueError("rendered or real must name at least one folder of images")
        if not 0 <= self.share_real <= 1 or not 0 <= self.detector_views <= 1:
            raise ValueError("share_real and detector_views must lie in [0, 1]")
        if self.batch_size < 2 or self.negatives < 0 or self.held_back < 1:
            raise ValueError("batch_size must be 2 or more, negatives 0 or more, held_back 1 or more")
        if self.pairs and self.batch_size % 2:
            raise ValueError("batch_size must be even for pairs")


class ImageBatch(NamedTuple):
    """n pictures of hands and k that are none, as tensors.

    crops: (n + k, s, s, 3) uint8 BGR. condition: keypoints of the n hands, as a detector gives them, in the crops'
    views. Of the n hands in the crops' views, see :class:`~hand_pose_ros.hand_images.shards.HandImages`:
    points, depth, visible, joints, wrist, angles, proportions, rotation, sigma, weight, source.
    roll_rad (n,), shift (n, 2), scale (n,): how the crop's view differs from the stored one; with ``pairs`` the
    hands n / 2 to n are the first half once more, otherwise augmented.
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
        """n, the hands."""
        return len(self.points)


class ImageSource:
    """The pictures to train on, and those to validate on.

    sets: name, 'rendered' or 'real', -> the table, the rows that are trained on, and the probability
        of each to be drawn.
    held_back: name -> pictures to validate on.
    """

    def __init__(self, options: ImageDataOptions) -> None:
        """Open the shards.

        Raises:
            ValueError: a folder holds no shard, or too few pictures.
        """
        self.sets: dict[str, tuple[ShardedHandImages, np.ndarray, np.ndarray]] = {}
        self.held_back: dict[str, HandImages] = {}
        for name in ("rendered", "real"):
            folders = getattr(options, name)
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
                        f"{name} has {len(table)} pictures, of which {options.held_back} are held back"
                    )
                rows, last = rows[: -options.held_back], rows[-options.held_back :]
                self.held_back[name] = table.rows(last)
            source = np.concatenate([shard.source for shard in table.shards])[rows]
            self.sets[name] = (table, rows, sampling_weights(source))
        self._share_real = {(True, True): options.share_real, (False, True): 1.0}.get(
            ("rendered" in self.sets, "real" in self.sets), 0.0
        )

    def draw(self, count: int, generator: np.random.Generator) -> HandImages:
        """``count`` pictures, the rendered ones first; how many are real is the share, rounded.

        Photos are drawn by :func:`~hand_pose_ros.hand_images.real.sources.sampling_weights`.
        """
        real = round(count * self._share_real)
        parts = []
        for name, number in (("rendered", count - real), ("real", real)):
            if number:
                table, rows, probability = self.sets[name]
                parts.append(table.rows(generator.choice(rows, number, p=probability)))
        return cat(parts)


class ImageBatches:
    """Makes batches, ahead if it is told their seed."""

    def __init__(
        self,
        options: ImageDataOptions,
        encoder: ImageEncoderConfig,
        source: ImageSource,
        noise: DetectorNoise,
    ) -> None:
        """``encoder``: whose crops are to be cut."""
        self._options, self._encoder, self._source, self._noise = options, encoder, source, noise
        self._pool = ThreadPoolExecutor(1, "image-batches")
        self._ahead: OrderedDict[int, Future[ImageBatch]] = OrderedDict()
        cv2.setNumThreads(1)  # its threads would only wait for those of the network

    def prepare(self, generator: torch.Generator) -> None:
        """Start to make the batch that :meth:`next` gives for a generator of the same state."""
        seed = _seed(generator)
        if seed not in self._ahead:
            self._ahead[seed] = self._pool.submit(self.make, seed)
        while len(self._ahead) > _KEPT:
            self._ahead.popitem(last=False)[1].cancel()

    def next(self, generator: torch.Generator) -> ImageBatch:
        """The batch of this generator; the same whether it was prepared or not."""
        seed = _seed(generator)
        ahead = self._ahead.pop(seed, None)
        return self.make(seed) if ahead is None else ahead.result()

    def make(self, seed: int) -> ImageBatch:
        """The batch of a seed."""
        options, generator = self._options, np.random.default_rng(seed)
        count = options.batch_size
        drawn = self._source.draw(count // 2 if options.pairs else count, generator)
        hands = cat((drawn, drawn)) if options.pairs else drawn
        negatives = None
        if options.negatives:
            chosen = hands.rows(generator.integers(hands.count, size=options.negatives))
            size = self._encoder.size_px, self._encoder.margin
            negatives = off_the_hand(chosen, options.augmentation, generator, *size)
        return observed_batch(hands, options, self._encoder, self._noise, generator, negatives)


def observed_batch(
    hands: HandImages,
    options: ImageDataOptions,
    encoder: ImageEncoderConfig,
    noise: DetectorNoise,
    generator: np.random.Generator,
    negatives: np.ndarray | None = None,
) -> ImageBatch:
    """The batch of stored hands: crops as ``options`` augments them, and a detector's keypoints.

    Keypoints are those that a detector has given for this very picture, where there are such, and the truth with
    a detector's errors elsewhere.

    Args:
        negatives: (k, s, s, 3) crops that show no right hand, to be put behind.
    """
    noisy = noisy_keypoints(hands, noise, torch.Generator().manual_seed(int(generator.integers(_SEEDS))))
    points, depth, confidence = (value.numpy() for value in noisy[:3])
    shown_before = hands.has_detection
    points = np.where(shown_before[:, None, None], hands.detected[..., :2], points)
    confidence = np.where(shown_before[:, None], np.nan, confidence).astype(np.float32)
    change = crop_views(hands, points, options.detector_views, options.augmentation.view, generator)
    size = encoder.size_px, encoder.margin
    augmented = augment(hands, options.augmentation, generator, *size, change).hands
    seen = change_labels(hands._replace(points=points, depth=depth), change)
    # As at run time, depths of a detector are not turned with the view.
    depth = np.where(shown_before[:, None], hands.detected[..., 2], seen.depth)
    condition = KeypointCondition(
        torch.from_numpy(seen.points),
        torch.from_numpy(depth),
        torch.from_numpy(confidence),
        torch.from_numpy(np.array(hands.inside)),
        torch.from_numpy(seen.half_extent),
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
