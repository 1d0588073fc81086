"""Stores the landmark network's features of augmented crops, so that its first blocks run once per crop.

Training then reads the features: a CPU trains on tens of thousands of crops in minutes. A bank is a folder of
files that are made one by one; an interrupted run continues.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import cv2
import numpy as np

from hand_pose_ros.common import named_tensors
from hand_pose_ros.detection.mediapipe.network_files import read_stored
from hand_pose_ros.files.atomic_file import atomic_path
from hand_pose_ros.files.safe_arrays import read_arrays
from hand_pose_ros.hand_images.labelled.set_source import SetSource, folders_with_sets
from hand_pose_ros.hand_images.shards import HandImages, ShardedHandImages
from hand_pose_ros.networks.imported.backends import ImageNetwork, open_tflite
from hand_pose_ros.networks.orientation.features import SHAPE, channels_first, with_features
from hand_pose_ros.training.tasks.orientation.crops import CropConfig, cut_crops

LANDMARK_FILE: Final = "hand_landmark_full.tflite"
_CHUNK: Final = 512
_UNIT: Final = np.float32(1 / 255)
_log = logging.getLogger(__name__)
Part = TypeVar("Part", bound=NamedTuple)


class CropFeatures(NamedTuple):
    """n crops and their labels, in the crops' axes, of right hands; those of left hands are not mirrored.

    features: (n, 192, 7, 7) float16. sign: (n,) +1 for right hands, -1 for left ones. rotation: (n, 3, 3)
    wrist frame -> crop. depth: (n, 21) of the joints, relative to the wrist, anchor lengths. weight: (n,) of the
    label. source: (n,) of the hand image.
    """

    features: np.ndarray
    sign: np.ndarray
    rotation: np.ndarray
    depth: np.ndarray
    weight: np.ndarray
    source: np.ndarray

    @property
    def count(self) -> int:
        """Number of crops."""
        return len(self.features)


@dataclass(frozen=True)
class BankOptions:
    """Content of a bank.

    folders: of shards of hand images. sets: public data sets by name, in addition.
    copies: augmented crops of each image. left_share: share of the crops that show the mirrored hand, a left one.
    exact: crops without augmentation, to validate on. most: images, evenly from all; null for all.
    crop: the augmentation.
    """

    folders: tuple[str, ...] = ()
    sets: tuple[SetSource, ...] = ()
    copies: int = 1
    left_share: float = 0.5
    exact: bool = False
    most: int | None = None
    crop: CropConfig = field(default_factory=CropConfig)

    def __post_init__(self) -> None:
        if self.copies < 1 or not 0 <= self.left_share <= 1 or (self.most is not None and self.most < 1):
            raise ValueError("copies and most must be positive, and left_share a share")
        if any(one.weight is not None for one in self.sets):
            raise ValueError("sets must have no weight here: every image is taken")

    @property
    def given(self) -> bool:
        """Whether it names any images."""
        return bool(self.folders or self.sets)

    def table(self) -> ShardedHandImages:
        """Open all images; shards of the sets are made first, where they are missing.

        Raises:
            ValueError: a folder holds no shard; or a set is missing or malformed.
        """
        return ShardedHandImages(folders_with_sets(self.folders, self.sets))


def read_bank(folder: Path, options: BankOptions, seed: int) -> CropFeatures:
    """Return the features of a bank; those that are not stored yet are made and stored.

    Raises:
        ValueError: a folder holds no shard. DetectorUnavailableError: the landmark network is not stored.
    """
    opened = cache(open_features)

    def make(hands: HandImages, generator: np.random.Generator) -> CropFeatures:
        return make_features(hands, options, opened(), generator)

    return named_tensors.cat([part for _, part in stored_parts(folder, options, seed, CropFeatures, make)])


def stored_parts(
    folder: Path | None,
    options: BankOptions,
    seed: int,
    kind: Callable[..., Part],
    make: Callable[[HandImages, np.random.Generator], Part],
) -> Iterator[tuple[Path, Part]]:
    """Yield the files of a bank with their content, a named tuple of arrays; those that are missing are made.

    Args:
        folder: None makes all of them, and stores none.
        kind: type of the named tuple. make: makes the content of one file from some of the hands.

    Raises:
        ValueError: a folder holds no shard; and what ``make`` raises.
    """
    table = options.table()
    count = len(table) if options.most is None else min(options.most, len(table))
    rows = np.arange(count) * len(table) // count
    for copy in range(options.copies):
        for start in range(0, len(rows), _CHUNK):
            name = f"{copy:02d}-{start:06d}.npz"
            generator = np.random.default_rng((seed, copy, start))
            if folder is None:
                yield Path(name), make(table.rows(rows[start : start + _CHUNK]), generator)
                continue
            path = folder / name
            if not path.is_file():
                store(path, make(table.rows(rows[start : start + _CHUNK]), generator))
                _log.info("%s", path)
            yield path, kind(**read_arrays(path))


def open_features() -> ImageNetwork:
    """Open the landmark network with the features as its last output.

    Raises:
        DetectorUnavailableError: it is not stored on this machine.
    """
    return open_tflite(with_features(read_stored(LANDMARK_FILE)), device="cpu", threads=1)


def make_features(
    hands: HandImages, options: BankOptions, network: ImageNetwork, generator: np.random.Generator
) -> CropFeatures:
    """Cut one crop of each hand and run the landmark network on it. Hands without known joints are left out."""
    crops, left = cut_bank_crops(hands, options, network.input_side_px, generator)
    return CropFeatures(
        features_of_crops(network, crops.image, left),
        np.where(left, -1.0, 1.0).astype(np.float32),
        crops.rotation,
        crops.joints[..., 2],
        crops.weight,
        crops.source,
    )


def cut_bank_crops(
    hands: HandImages, options: BankOptions, side_px: int, generator: np.random.Generator
) -> tuple[HandImages, np.ndarray]:
    """Cut one crop of each hand with known joints; returns the n crops, and which are to be mirrored (n,)."""
    cv2.setNumThreads(1)
    hands = hands.rows(np.isfinite(hands.rotation).all((1, 2)) & np.isfinite(hands.points).all((1, 2)))
    config = options.crop.exact() if options.exact else options.crop
    crops = cut_crops(hands, config, generator, side_px)
    return crops, generator.random(hands.count) < options.left_share


def features_of(network: ImageNetwork, crop_rgb: np.ndarray) -> np.ndarray:
    """Return the features (192, 7, 7) of a crop (side, side, 3) RGB in [0, 1]."""
    return channels_first(network.run(np.ascontiguousarray(crop_rgb))[-1])


def features_of_crops(network: ImageNetwork, crops_bgr: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Return the features (n, 192, 7, 7) float16 of crops (n, side, side, 3), mirrored where ``left`` (n,)."""
    features = np.empty((len(crops_bgr), *SHAPE), np.float16)
    for row, crop in enumerate(crops_bgr):
        image = crop[:, ::-1] if left[row] else crop
        features[row] = features_of(network, np.multiply(image[..., ::-1], _UNIT, dtype=np.float32))
    return features


def store(path: Path, features: NamedTuple) -> None:
    """Write one file of a bank, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as unfinished, unfinished.open("wb") as file:
        np.savez(file, **features._asdict())
