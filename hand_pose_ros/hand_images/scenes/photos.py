"""Holds photos of single hands with their landmarks, as scenes are composed of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from hand_pose_ros.hand_images.real.labels import CROP_PX, RealHandLabels, read_crops, read_labels
from hand_pose_ros.hand_images.real.sources import numbers_of_part, sampling_weights, source_numbers

FLESH: Final = 0.14
"""Flesh around the joints of a hand, as a share of their extent."""
_INSET_PX = 2  # there JPEG has mixed the image's edge with the black around it


class HandPhotos(NamedTuple):
    """n photos of hands, cut parallel to their image's sides.

    image: (n, 192, 192, 3) uint8 BGR. points: (n, 21, 2) joints, pixels; the first pixel's centre is 0. right:
    (n,) bool. shown: (n, 4) int, x0, y0, x1, y1 of the pixels that the photo covers; it is black outside.
    probability: (n,) of a draw, less for the photos of large sources.
    """

    image: np.ndarray
    points: np.ndarray
    right: np.ndarray
    shown: np.ndarray
    probability: np.ndarray

    @property
    def count(self) -> int:
        """Number of photos (``len`` is the number of fields)."""
        return len(self.image)

    def rows(self, index: np.ndarray) -> HandPhotos:
        """Return the rows ``index``, with their probabilities normalised."""
        chosen = HandPhotos(*(field[index] for field in self))
        return chosen._replace(probability=chosen.probability / chosen.probability.sum())


def read_photos(folders: Sequence[str | Path], part: str) -> HandPhotos:
    """Read the photos of folders of pseudo-labelled hands whose sources belong to ``part``, in the folders' order.

    Raises:
        ValueError: a folder holds no such photos, or one of an unknown source.
    """
    read: list[tuple[RealHandLabels, np.ndarray]] = []
    for folder in folders:
        labels = read_labels(folder)
        source = source_numbers(labels.repositories)
        labels = labels.rows(np.flatnonzero(np.isin(source, numbers_of_part(part))))
        if not labels.count:
            raise ValueError(f"no photo in {folder} belongs to the part {part!r}")
        images = np.empty((labels.count, CROP_PX, CROP_PX, 3), np.uint8)
        for row, crop in enumerate(read_crops(folder, labels.names)):
            images[row] = crop
        read.append((labels, images))
    sources = np.concatenate([source_numbers(labels.repositories) for labels, _ in read])
    return HandPhotos(
        np.concatenate([images for _, images in read]),
        np.concatenate([labels.xy for labels, _ in read]).astype(np.float32),
        np.concatenate([labels.sides == "right" for labels, _ in read]),
        np.concatenate([_shown(labels) for labels, _ in read]),
        sampling_weights(sources),
    )


def beside_hand(photos: HandPhotos, row: int, least_px: int) -> list[tuple[int, int, int, int]]:
    """Return the strips x0, y0, x1, y1 of a photo beside its hand that are at least ``least_px`` wide."""
    x0, y0, x1, y1 = photos.shown[row].tolist()
    low, high = photos.points[row].min(0), photos.points[row].max(0)
    flesh = FLESH * float((high - low).max())
    left, top = (low - flesh).round().astype(int).tolist()
    right, bottom = (high + flesh).round().astype(int).tolist()
    strips = ((x0, y0, left, y1), (right, y0, x1, y1), (x0, y0, x1, top), (x0, bottom, x1, y1))
    return [one for one in strips if min(one[2] - one[0], one[3] - one[1]) >= least_px]


def _shown(labels: RealHandLabels) -> np.ndarray:
    """Return the pixels (n, 4) of the crops that their images cover."""
    corner = np.concatenate((np.full((labels.count, 2), -0.5), labels.sizes - 0.5), axis=1).reshape(-1, 2, 2)
    scale, shift = labels.crop_of_image[:, 0, 0], labels.crop_of_image[:, :2, 2]
    in_crop = corner * scale[:, None, None] + shift[:, None]
    cut = (in_crop > 0.5) & (in_crop < CROP_PX - 1.5)
    low = np.where(cut[:, 0], np.ceil(in_crop[:, 0]) + _INSET_PX, 0).clip(0, CROP_PX)
    high = np.where(cut[:, 1], np.floor(in_crop[:, 1]) - _INSET_PX, CROP_PX).clip(0, CROP_PX)
    return np.concatenate((low, high), axis=1).astype(int)
