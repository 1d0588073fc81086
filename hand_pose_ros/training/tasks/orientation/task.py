"""The task trains the orientation network on renders, pseudo-labelled photos, and photos labelled by two views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeGuard

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros.common.dataclass_reading import read_dataclass
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.detection.mediapipe.network_files import read_stored
from hand_pose_ros.hand_images.real.sources import sampling_weights
from hand_pose_ros.networks.imported.network import import_network
from hand_pose_ros.networks.orientation.network import (
    HandOrientation,
    OrientationConfig,
    OrientationNetwork,
    orientation_from_raw,
    start_from_landmarks,
)
from hand_pose_ros.networks.registry import HAND_ORIENTATION
from hand_pose_ros.networks.weights import load_weights, restore
from hand_pose_ros.training.precision import full_precision
from hand_pose_ros.training.tasks.orientation.feature_bank import (
    LANDMARK_FILE,
    BankOptions,
    CropFeatures,
    read_bank,
)
from hand_pose_ros.training.tasks.orientation.losses import (
    OrientationLosses,
    orientation_terms,
    rotation_error,
)

KINDS: Final = ("rendered", "photos", "two_views")
_VALIDATION_BATCH: Final = 256


@dataclass(frozen=True)
class OrientationOptions:
    """Options of the task ``hand_orientation``.

    bank: folder in which the features are stored; those that exist are read. rendered, photos, two_views: banks of
        the three kinds; one without folders is left out. validation_rendered, validation_photos: banks to validate
        on.
    warm_start: weight file to start from; empty for the landmark network's own blocks and a new head.
    frozen_blocks: only the head is trained, which costs next to nothing: a first stage.
    shares: of a batch, for each kind that is given. batch_size: crops per step.
    rates: factor on the learning rate of the parameters whose names start with the key.
    """

    bank: str
    rendered: BankOptions | None = None
    photos: BankOptions | None = None
    two_views: BankOptions | None = None
    validation_rendered: BankOptions | None = None
    validation_photos: BankOptions | None = None
    warm_start: str = ""
    frozen_blocks: bool = False
    shares: tuple[float, float, float] = (0.45, 0.45, 0.1)
    batch_size: int = 128
    rates: Mapping[str, float] = field(
        default_factory=lambda: {"blocks": 0.1, "expand": 0.2, "depthwise": 0.2}
    )
    losses: OrientationLosses = field(default_factory=OrientationLosses)
    network: OrientationConfig = field(default_factory=OrientationConfig)

    def __post_init__(self) -> None:
        if not any(_given(getattr(self, kind)) for kind in KINDS):
            raise ValueError(f"at least one of {', '.join(KINDS)} must be given")
        if self.batch_size < 1 or min(self.shares) < 0 or sum(self.shares) == 0:
            raise ValueError("batch_size must be positive, and shares not negative")


class OrientationTraining:
    """The task fine-tunes the landmark network's last blocks, and trains a head on them."""

    def __init__(self, options: OrientationOptions) -> None:
        self.options = options
        self.model = OrientationNetwork(options.network)
        if options.warm_start:
            loaded = load_weights(options.warm_start, HAND_ORIENTATION)
            restore(self.model, loaded)
        else:
            start_from_landmarks(self.model, import_network(read_stored(LANDMARK_FILE)))
        if options.frozen_blocks:
            for part in (self.model.blocks, self.model.expand, self.model.depthwise):
                part.requires_grad_(False)
        self._banks: list[tuple[CropFeatures, np.ndarray]] | None = None
        self._validation: dict[str, CropFeatures] | None = None

    @classmethod
    def from_options(cls, options: Mapping) -> OrientationTraining:
        """Make the task from the ``options`` of a training file."""
        return cls(read_dataclass(OrientationOptions, options, "options"))

    @property
    def learning_rates(self) -> Mapping[str, float]:
        """Factors on the learning rate: the landmark network's own blocks change slowly."""
        return {} if self.options.frozen_blocks else self.options.rates

    def metadata(self) -> dict:
        """Return the network's configuration."""
        return self.model.config.to_dict()

    def losses(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the weighted loss terms of a batch from the banks."""
        self.make_data()
        assert self._banks is not None
        batch = self._draw(np.random.default_rng(int(torch.randint(2**62, (), generator=generator))))
        estimate = self._estimate(self.model, batch)
        device = estimate.rotation.device
        with full_precision():
            rotation, depth, weight = (
                torch.from_numpy(one).to(device) for one in (batch.rotation, batch.depth, batch.weight)
            )
            return orientation_terms(estimate, rotation, depth, weight, self.options.losses)

    def make_data(self) -> None:
        """Make the features of the banks that are not stored yet."""
        if self._banks is None:
            self._banks = self._read_banks()

    @torch.no_grad()
    def validate(self, model: OrientationNetwork) -> dict[str, float]:
        """Return mean errors on the held-out crops, and the rank correlation of sigma with the tilt error."""
        if self._validation is None:
            options = self.options
            given = {"rendered": options.validation_rendered, "photos": options.validation_photos}
            self._validation = {
                name: read_bank(Path(options.bank) / f"validation_{name}", one, Seed.IMAGE_VALIDATION)
                for name, one in given.items()
                if _given(one)
            }
        figures = {}
        for name, crops in self._validation.items():
            parts = [
                self._estimate(model, rows_of(crops, slice(start, start + _VALIDATION_BATCH)))
                for start in range(0, crops.count, _VALIDATION_BATCH)
            ]
            estimate = HandOrientation(*(torch.cat(one).cpu() for one in zip(*parts, strict=True)))
            error = rotation_error(estimate.rotation, torch.from_numpy(crops.rotation))
            tilt, sigma = error[:, :2].norm(dim=1), estimate.sigma[:, :2].norm(dim=1)
            depth = (estimate.depth - torch.from_numpy(crops.depth)).abs()[:, 1:]
            figures |= {
                f"{name}_tilt_deg": float(tilt.mean().rad2deg()),
                f"{name}_roll_deg": float(error[:, 2].abs().mean().rad2deg()),
                f"{name}_depth": float(depth.nanmean()),
                f"{name}_rank": rank_correlation(sigma.numpy(), tilt.numpy()),
            }
        return figures

    def _read_banks(self) -> list[tuple[CropFeatures, np.ndarray]]:
        """Return the bank of each kind, and the probability of each of its crops."""
        banks = []
        for kind, share in zip(KINDS, self.options.shares, strict=True):
            options = getattr(self.options, kind)
            if _given(options) and share:
                crops = read_bank(Path(self.options.bank) / kind, options, Seed.TRAINING)
                if self.options.frozen_blocks:
                    crops = self._with_means(crops)
                banks.append((crops, share * sampling_weights(crops.source)))
        return banks

    def _draw(self, generator: np.random.Generator) -> CropFeatures:
        assert self._banks is not None
        shares = np.array([probability.sum() for _, probability in self._banks])
        ends = np.round(np.cumsum(shares / shares.sum()) * self.options.batch_size).astype(int)
        counts = np.diff(ends, prepend=0)
        parts = []
        for (crops, probability), count in zip(self._banks, counts, strict=True):
            chosen = generator.choice(crops.count, count, p=probability / probability.sum())
            parts.append(rows_of(crops, chosen))
        return CropFeatures(*(np.concatenate(one) for one in zip(*parts, strict=True)))

    @torch.no_grad()
    def _with_means(self, crops: CropFeatures) -> CropFeatures:
        """Return the crops with the means (n, 1152) in place of the features: these stay if the blocks do."""
        parts = []
        for start in range(0, crops.count, _VALIDATION_BATCH):
            features = torch.from_numpy(crops.features[start : start + _VALIDATION_BATCH].astype(np.float32))
            parts.append(self.model.pooled(features.to(self.model.out.weight.device)).cpu().numpy())
        return crops._replace(features=np.concatenate(parts))

    @staticmethod
    def _estimate(model: OrientationNetwork, crops: CropFeatures) -> HandOrientation:
        device = next(model.parameters()).device
        features = torch.from_numpy(crops.features.astype(np.float32)).to(device)
        sign = torch.from_numpy(np.array(crops.sign)).to(device)
        raw = model.head(features, sign) if features.ndim == 2 else model.raw(features, sign)
        with full_precision():
            return orientation_from_raw(raw.float(), sign)


def _given(options: BankOptions | None) -> TypeGuard[BankOptions]:
    """Return whether a bank is asked for."""
    return options is not None and options.given


def rows_of(crops: CropFeatures, index: np.ndarray | slice) -> CropFeatures:
    """Return some of the crops."""
    return CropFeatures(*(one[index] for one in crops))


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return Spearman's rank correlation of two arrays (n,)."""
    ranks = [np.argsort(np.argsort(values)).astype(float) for values in (first, second)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1]) if len(first) > 1 else float("nan")
