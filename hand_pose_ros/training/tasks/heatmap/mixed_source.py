"""Draws images labelled in 2D only and images labelled in 3D with given probabilities (appendix A.3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hand_pose_ros.common.named_tensors import cat
from hand_pose_ros.hand_images.shards import HandImages, ShardedHandImages
from hand_pose_ros.training.tasks.images.batches import ImageDataOptions, ImageSource
from hand_pose_ros.training.tasks.images.sampling import mixed_by_group


class MixedSource(ImageSource):
    """The images of :class:`ImageSource`; each one drawn is labelled in 2D only with the probability ``share_2d``.

    Among those of a kind, renders and photos keep the proportions that the options of the data state. If all
    images are of one kind, ``share_2d`` has no effect.
    """

    def __init__(self, options: ImageDataOptions, share_2d: float, photos_in_2d: bool) -> None:
        """``photos_in_2d``: depths of photos are not used in training, so all photos are labelled in 2D only.

        Raises:
            ValueError: a folder holds no shard, or too few images; or images are to be read by epochs, which know
                no shares.
        """
        if options.sampling != "weighted":
            raise ValueError(
                f"images are drawn by share_2d: sampling must be 'weighted', not {options.sampling!r}"
            )
        super().__init__(options)
        self._photos_in_2d = photos_in_2d
        share_real = self._share_real
        self._rows: list[tuple[str, int]] = []
        probability, in_2d = [], []
        for name, (table, rows, of_rows) in self.sets.items():
            share = share_real if name == "real" else 1 - share_real
            probability.append(share * of_rows)
            hidden = photos_in_2d and name == "real"
            in_2d.append(np.full(len(rows), True) if hidden else ~_has_depth(table)[rows])
            self._rows += [(name, int(row)) for row in rows]
        self._probability = mixed(np.concatenate(probability), np.concatenate(in_2d), share_2d)

    def draw(self, count: int, generator: np.random.Generator, batch: int | None = None) -> HandImages:
        """Draw ``count`` images; renders and photos are in groups. The number of the batch does not matter."""
        del batch
        chosen = generator.choice(len(self._rows), count, p=self._probability)
        parts = []
        for name, (table, _, _) in self.sets.items():
            rows = [row for of_set, row in (self._rows[one] for one in chosen) if of_set == name]
            if not rows:
                continue
            hands = table.rows(np.array(rows))
            if self._photos_in_2d and name == "real":
                hands = hands._replace(depth=np.full_like(hands.depth, np.nan))
            parts.append(hands)
        return cat(parts)


def mixed(probability: np.ndarray, in_2d: np.ndarray, share_2d: float) -> np.ndarray:
    """Return probabilities (n,) of rows, rescaled so that those labelled in 2D only have ``share_2d`` together."""
    if in_2d.all() or not in_2d.any():
        return probability / probability.sum()
    return mixed_by_group(probability, in_2d.astype(int), (1 - share_2d, share_2d))


def _has_depth(table: ShardedHandImages) -> np.ndarray:
    """Return whether each row of a table has depths (n,)."""
    known: Sequence[np.ndarray] = [np.isfinite(shard.depth).any(1) for shard in table.shards]
    return np.concatenate(known)
