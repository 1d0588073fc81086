"""Cuts new augmented crops for every step, where a bank of them would not fit memory: for large data sets."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Final

import numpy as np
import torch

from hand_pose_ros.hand_images.shards import HandImages
from hand_pose_ros.networks.mesh_diffusion.config import MeshDiffusionConfig
from hand_pose_ros.training.tasks.mesh_diffusion.crop_bank import MeshCrops, make_crops
from hand_pose_ros.training.tasks.orientation.feature_bank import BankOptions, open_features

_SEEDS: Final = 2**62
_KEPT: Final = 3  # batches made ahead at most
_LABELS: Final = ("angles", "proportions", "rotation", "wrist", "points")


class FreshCrops:
    """Hand images of which every step cuts its own crops; a thread cuts those of the next step."""

    def __init__(self, options: BankOptions, network: MeshDiffusionConfig) -> None:
        """Open the shards.

        Raises:
            ValueError: a folder holds no shard, or no hand has known angles.
            DetectorUnavailableError: the landmark network is needed and not stored.
        """
        self._options, self._network = options, network
        self._table = options.table()
        known = [
            np.isfinite(getattr(shard, name)).reshape(shard.count, -1).all(1)
            for shard in self._table.shards
            for name in _LABELS
        ]
        of_shards = (known[start : start + len(_LABELS)] for start in range(0, len(known), len(_LABELS)))
        rows = np.flatnonzero(np.concatenate([np.all(one, axis=0) for one in of_shards]))
        if not len(rows):
            raise ValueError(f"no hand with known angles in {', '.join(map(str, self._table.folders))}")
        most = len(rows) if options.most is None else min(options.most, len(rows))
        self._rows = rows[np.arange(most) * len(rows) // most]
        self._opened = None if network.encoder.kind == "resnet" else open_features()
        self._pool = ThreadPoolExecutor(1, "mesh-crops")
        self._ahead: OrderedDict[tuple[int, int], Future[MeshCrops]] = OrderedDict()

    @property
    def count(self) -> int:
        """Number of hands."""
        return len(self._rows)

    def prepare(self, count: int, generator: torch.Generator) -> None:
        """Start to make the batch that :meth:`draw` returns for a generator of the same state."""
        key = count, _seed(generator)
        if key not in self._ahead:
            self._ahead[key] = self._pool.submit(self._make, *key)
        while len(self._ahead) > _KEPT:
            self._ahead.popitem(last=False)[1].cancel()

    def draw(self, count: int, generator: torch.Generator) -> MeshCrops:
        """Return new crops of ``count`` random hands; they do not depend on a call of :meth:`prepare`."""
        key = count, _seed(generator)
        ahead = self._ahead.pop(key, None)
        return self._make(*key) if ahead is None else ahead.result()

    def poses(self, most: int, generator: np.random.Generator) -> MeshCrops:
        """Return the labels of at most ``most`` hands, evenly from all, with images of the smallest size."""
        count = min(most, self.count)
        hands = self._table.rows(self._rows[np.arange(count) * self.count // count])
        small = replace(self._network.encoder, kind="resnet", size_px=32)
        network = replace(self._network, conditions=(), encoder=small)
        return make_crops(hands, self._options, network, None, generator)

    def _make(self, count: int, seed: int) -> MeshCrops:
        generator = np.random.default_rng(seed)
        hands: HandImages = self._table.rows(self._rows[generator.integers(self.count, size=count)])
        return make_crops(hands, self._options, self._network, self._opened, generator)


def _seed(generator: torch.Generator) -> int:
    return int(torch.randint(_SEEDS, (), generator=generator))
