"""The task trains the landmark error network on the real errors of the landmark network on degraded renders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common import named_tensors
from hand_pose_ros.common.dataclass_reading import read_dataclass
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.hand_images.augmentation.augment import PhotometricConfig
from hand_pose_ros.hand_images.augmentation.occluders import OccluderConfig
from hand_pose_ros.hand_images.shards import HandImages
from hand_pose_ros.networks.imported.backends import ImageNetwork
from hand_pose_ros.networks.landmark_error import (
    LandmarkErrorConfig,
    LandmarkErrorNetwork,
    pooled_features,
)
from hand_pose_ros.networks.orientation.features import SHAPE, channels_first
from hand_pose_ros.training.tasks.orientation.crops import CropConfig
from hand_pose_ros.training.tasks.orientation.feature_bank import (
    BankOptions,
    cut_bank_crops,
    open_features,
    stored_parts,
)
from hand_pose_ros.training.tasks.orientation.task import rank_correlation

WORSE: Final = CropConfig(
    occluders=OccluderConfig(share=0.35),
    photometric=PhotometricConfig(motion_share=0.3, motion_px=30.0, defocus_share=0.2),
)
"""Degradation of the crops: more blur and more occluders than for the orientation network."""
_LEAST_PRESENCE: Final = 0.5  # a detector takes a crop with less for one without a hand
_LEAST_ERROR: Final = 0.005
_UNIT: Final = np.float32(1 / 255)


class LandmarkErrors(NamedTuple):
    """n crops: pooled (n, 192) float16 mean features, and error (n, 21) float32 of the landmarks.

    The error is the distance from the true point in half extents of the hand: halves of the larger side of the box
    of the landmarks.
    """

    pooled: np.ndarray
    error: np.ndarray

    @property
    def count(self) -> int:
        """Number of crops."""
        return len(self.pooled)


@dataclass(frozen=True)
class ErrorBankOptions(BankOptions):
    """Content of a bank of errors; the crops are degraded more."""

    crop: CropConfig = field(default_factory=lambda: WORSE)


@dataclass(frozen=True)
class LandmarkErrorOptions:
    """Options of the task ``landmark_error``.

    bank: folder in which features and errors are stored; those that exist are read. rendered: images with exact
        labels. validation: others, to validate on. batch_size: crops per step.
    """

    bank: str
    rendered: ErrorBankOptions
    validation: ErrorBankOptions | None = None
    batch_size: int = 256
    network: LandmarkErrorConfig = field(default_factory=LandmarkErrorConfig)

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be positive, got {self.batch_size}")


class LandmarkErrorTraining:
    """The task fits the expected error, as the scale of an exponential distribution of the errors."""

    def __init__(self, options: LandmarkErrorOptions) -> None:
        self.options = options
        self.model = LandmarkErrorNetwork(options.network)
        self._bank: LandmarkErrors | None = None
        self._validation: LandmarkErrors | None = None

    @classmethod
    def from_options(cls, options: Mapping) -> LandmarkErrorTraining:
        """Make the task from the ``options`` of a training file."""
        return cls(read_dataclass(LandmarkErrorOptions, options, "options"))

    def metadata(self) -> dict:
        """Return the network's configuration."""
        return self.model.config.to_dict()

    def make_data(self) -> None:
        """Make the bank, where it is not stored yet, and standardise the network's input by it."""
        if self._bank is None:
            self._bank = read_errors(
                Path(self.options.bank) / "rendered", self.options.rendered, Seed.TRAINING
            )
            self.model.standardise(torch.from_numpy(self._bank.pooled.astype(np.float32)))

    def losses(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the negative log-likelihood of a batch from the bank."""
        self.make_data()
        assert self._bank is not None
        rows = torch.randint(self._bank.count, (self.options.batch_size,), generator=generator).numpy()
        device = self.model.mean.device
        pooled = torch.from_numpy(self._bank.pooled[rows].astype(np.float32)).to(device)
        error = torch.from_numpy(self._bank.error[rows]).to(device).clamp(min=_LEAST_ERROR)
        log_error = self.model(pooled).float()
        return {"likelihood": (error * (-log_error).exp() + log_error).mean()}

    @torch.no_grad()
    def validate(self, model: LandmarkErrorNetwork) -> dict[str, float]:
        """Return how the expected errors rank and match the real ones on held-out crops.

        rank, hand_rank: rank correlation over landmarks, and over the means of hands. ratio: mean real error
        divided by the mean expected one.
        """
        options = self.options.validation
        if options is None or not options.folders:
            return {}
        if self._validation is None:
            self._validation = read_errors(
                Path(self.options.bank) / "validation", options, Seed.IMAGE_VALIDATION
            )
        pooled = torch.from_numpy(self._validation.pooled.astype(np.float32))
        expected = model(pooled.to(model.mean.device)).exp().cpu().numpy()
        error = self._validation.error
        return {
            "rank": rank_correlation(expected.ravel(), error.ravel()),
            "hand_rank": rank_correlation(expected.mean(1), error.mean(1)),
            "ratio": float(error.mean() / expected.mean()),
        }


def read_errors(folder: Path, options: BankOptions, seed: int) -> LandmarkErrors:
    """Return the content of a bank; what is not stored yet is made and stored.

    Raises:
        ValueError: a folder holds no shard. DetectorUnavailableError: the landmark network is not stored.
    """
    opened = cache(open_features)

    def make(hands: HandImages, generator: np.random.Generator) -> LandmarkErrors:
        return make_errors(hands, options, opened(), generator)

    return named_tensors.cat([part for _, part in stored_parts(folder, options, seed, LandmarkErrors, make)])


def make_errors(
    hands: HandImages, options: BankOptions, network: ImageNetwork, generator: np.random.Generator
) -> LandmarkErrors:
    """Cut one crop of each hand and run the landmark network on it; those without a hand to it are left out."""
    side_px = network.input_side_px
    crops, left = cut_bank_crops(hands, options, side_px, generator)
    pooled, errors = [], []
    for row in range(len(left)):
        image = crops.image[row][:, ::-1] if left[row] else crops.image[row]
        pixels = np.multiply(image[..., ::-1], _UNIT, dtype=np.float32)
        screen, presence, _, _, *more = network.run(np.ascontiguousarray(pixels))
        if presence[0] < _LEAST_PRESENCE:
            continue
        found = 2 * screen.reshape(hand.NUM_JOINTS, 3)[:, :2] / side_px - 1
        true = crops.points[row] * (-1 if left[row] else 1, 1)
        half_extent = np.ptp(found, axis=0).max() / 2
        errors.append(np.linalg.norm(found - true, axis=-1) / half_extent)
        pooled.append(pooled_features(torch.from_numpy(channels_first(more[-1]))[None])[0].numpy())
    return LandmarkErrors(
        np.asarray(pooled, np.float16).reshape(-1, SHAPE[0]),
        np.asarray(errors, np.float32).reshape(-1, hand.NUM_JOINTS),
    )
