"""Which images a batch takes: each once an epoch, whichever process reads it, or at random, by folder weights."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from hand_pose_ros.hand_images.shards import shard_folders, shard_info

_KEPT = 2  # permutations: a batch may end in the next epoch


class EpochOrder:
    """An endless sequence of row numbers: one permutation of all rows after the other.

    Batch n takes its own places in it, so batches of different numbers share no place. Within an epoch no row
    comes twice, on any process.
    """

    def __init__(self, rows: int, seed: int, stream: int) -> None:
        """``rows``: number of rows. ``seed``, ``stream``: of the permutations.

        Raises:
            ValueError: there is no row.
        """
        if rows < 1:
            raise ValueError("there is no image to read")
        self._rows, self._seed, self._stream = rows, seed, stream
        self._permutations: OrderedDict[int, np.ndarray] = OrderedDict()

    def take(self, batch: int, count: int) -> np.ndarray:
        """Return the ``count`` rows of a batch, by its number; all batches must ask for the same ``count``."""
        places = np.arange(batch * count, (batch + 1) * count)
        epochs, within = np.divmod(places, self._rows)
        chosen = np.empty(count, int)
        for epoch in np.unique(epochs):
            of_epoch = epochs == epoch
            chosen[of_epoch] = self._permutation(int(epoch))[within[of_epoch]]
        return chosen

    def _permutation(self, epoch: int) -> np.ndarray:
        if epoch not in self._permutations:
            generator = np.random.default_rng([self._seed, self._stream, epoch])
            self._permutations[epoch] = generator.permutation(self._rows)
            while len(self._permutations) > _KEPT:
                self._permutations.popitem(last=False)
        return self._permutations[epoch]


def folder_of_rows(folders: Sequence[str]) -> np.ndarray:
    """Return which of the folders each row of their table comes from (n,)."""
    counts = [sum(shard_info(shard)["count"] for shard in shard_folders(folder)) for folder in folders]
    return np.repeat(np.arange(len(folders)), counts)


def mixed_by_group(probability: np.ndarray, group: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """Return the probabilities (n,) of rows, changed so that each group is drawn by its weight.

    Args:
        group: (n,) index of the row's group among ``weights``. A group that has no probability gets none.
    """
    totals = np.maximum(np.bincount(group, probability, len(weights)), np.finfo(float).tiny)
    mixed = probability * np.asarray(weights)[group] / totals[group]
    return mixed / mixed.sum()
