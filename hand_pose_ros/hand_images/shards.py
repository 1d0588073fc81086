"""Defines hand images with their labels, rendered or real, and stores them in shards.

Every image shows a RIGHT hand (left ones are mirrored) in the canonical view of its keypoints
(:mod:`hand_pose_ros.camera.keypoint_view`): a square pinhole image along the view's axis, x right, y down, that
spans +-``STORED_MARGIN`` half extents. The margin leaves room to rotate, shift and scale the image afterwards.

A shard is a folder with one ``.npy`` per field, which can be memory-mapped, and ``shard.json``, which is written
last: a folder without it is unfinished.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.common import named_tensors
from hand_pose_ros.files.bounded_text import shown
from hand_pose_ros.files.safe_json import read_json

STORED_SIZE_PX: Final = 160
STORED_MARGIN: Final = 2.0
FORMAT_VERSION: Final = 1

SHARD_RECORD: Final = "shard.json"
"""File of a shard that is written last."""
_SIZE = STORED_SIZE_PX


class HandImages(NamedTuple):
    """n right hands with labels; missing is NaN. Lengths are in anchor lengths (bone wrist -> index MCP).

    image: (n, 160, 160, 3) uint8 BGR; pixel ``view_to_pixels(points)`` shows a point of the view.
    points: (n, 21, 2) float32, joints in the view, in half extents.
    depth: (n, 21) float32, along the view's axis, relative to the wrist, positive = farther away.
    visible: (n, 21) bool, hidden neither by the hand, nor an object, nor another hand, and ``inside``.
    inside: (n, 21) bool, inside the original image, from which this one was cut (it is black outside).
    half_extent: (n,) float32, tangent of half the angle of the hand in the view.
    joints: (n, 21, 3) float32, relative to the wrist, in the view's frame.
    wrist: (n, 3) float32, in the view's frame, from the camera.
    angles: (n, 38) float32, rad. proportions: (n, 20) float32. rotation: (n, 3, 3) float32, wrist frame -> view.
    sigma: (n, 21) float32, standard deviation of ``joints`` per axis; 0 for renders.
    weight: (n,) float32, weight in the loss; 1 for renders.
    source: (n,) int16; 0 rendered, k > 0 the k-th real source.
    detected: (n, 21, 3) float32, keypoints that a detector found in this image: x and y in half extents of the
        view, and relative depth.
    """

    image: np.ndarray
    points: np.ndarray
    depth: np.ndarray
    visible: np.ndarray
    inside: np.ndarray
    half_extent: np.ndarray
    joints: np.ndarray
    wrist: np.ndarray
    angles: np.ndarray
    proportions: np.ndarray
    rotation: np.ndarray
    sigma: np.ndarray
    weight: np.ndarray
    source: np.ndarray
    detected: np.ndarray

    @property
    def count(self) -> int:
        """Number of hands (``len`` is the number of fields)."""
        return len(self.image)

    @property
    def has_detection(self) -> np.ndarray:
        """(n,) bool, whether a detection of the hand is stored."""
        return np.isfinite(self.detected).all((1, 2))

    def rows(self, index: Any) -> HandImages:
        """Return the chosen hands; ``index`` is a slice, an array of row numbers or a mask."""
        return named_tensors.rows(self, index)


_J = hand.NUM_JOINTS
FIELDS: Final[dict[str, tuple[tuple[int, ...], type]]] = {
    "image": ((_SIZE, _SIZE, 3), np.uint8),
    "points": ((_J, 2), np.float32),
    "depth": ((_J,), np.float32),
    "visible": ((_J,), np.bool_),
    "inside": ((_J,), np.bool_),
    "half_extent": ((), np.float32),
    "joints": ((_J, 3), np.float32),
    "wrist": ((3,), np.float32),
    "angles": ((hand.NUM_ANGLES,), np.float32),
    "proportions": ((hand.NUM_BONES,), np.float32),
    "rotation": ((3, 3), np.float32),
    "sigma": ((_J,), np.float32),
    "weight": ((), np.float32),
    "source": ((), np.int16),
    "detected": ((_J, 3), np.float32),
}
"""Shape of one hand's entry, and type, of each field."""
_OPTIONAL: Final = ("detected",)
"""Fields without a file in some shards: they are NaN for all hands of these."""


def check_hand_images(images: HandImages) -> None:
    """Raise ValueError unless all fields have their type and shape and the same number of hands."""
    for name, (shape, kind) in FIELDS.items():
        field = getattr(images, name)
        if field.shape != (images.count, *shape) or field.dtype != kind:
            raise ValueError(
                f"{name} must be {(images.count, *shape)} {np.dtype(kind)}, got {field.shape} {field.dtype}"
            )


def empty_hand_images(count: int) -> HandImages:
    """Make ``count`` rows to fill: black images, NaN labels, weight 1, source 0."""
    rows = {name: np.zeros((count, *shape), kind) for name, (shape, kind) in FIELDS.items()}
    for field in rows.values():
        if field.dtype == np.float32:
            field.fill(np.nan)
    rows["weight"].fill(1)
    return HandImages(**rows)


def view_to_pixels(
    points: np.ndarray, size_px: int = STORED_SIZE_PX, margin: float = STORED_MARGIN
) -> np.ndarray:
    """Convert points (..., 2) in half extents to pixels (..., 2); the first pixel's centre is 0."""
    return (points / margin + 1) * (size_px / 2) - 0.5


def pixels_to_view(
    pixels: np.ndarray, size_px: int = STORED_SIZE_PX, margin: float = STORED_MARGIN
) -> np.ndarray:
    """Invert :func:`view_to_pixels`."""
    return ((pixels + 0.5) * (2 / size_px) - 1) * margin


def save_shard(folder: str | Path, images: HandImages, seed: int, settings: dict[str, Any]) -> None:
    """Write a shard atomically; an unfinished one of that name is replaced.

    Args:
        seed, settings: record of how the images were made; :func:`shard_info` returns it.

    Raises:
        ValueError: a field has another shape or type.
        FileExistsError: the folder is a complete shard already.
    """
    check_hand_images(images)
    folder = Path(folder)
    if is_shard(folder):
        raise FileExistsError(f"{folder} is a complete shard already")
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        for name, field in images._asdict().items():
            if name not in _OPTIONAL or np.isfinite(field).any():
                np.save(unfinished / f"{name}.npy", field)
        info = {"format": FORMAT_VERSION, "count": images.count, "seed": seed, "settings": settings}
        (unfinished / SHARD_RECORD).write_text(json.dumps(info, indent=1) + "\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def is_shard(folder: str | Path) -> bool:
    """Return whether the folder is a complete shard."""
    return (Path(folder) / SHARD_RECORD).is_file()


def shard_info(folder: str | Path) -> dict[str, Any]:
    """Read a shard's record, with keys format, count, seed, settings.

    Raises:
        ValueError: the shard is not complete, or has another version.
    """
    if not is_shard(folder):
        raise ValueError(f"{folder} is not a complete shard of hand images: it has no {SHARD_RECORD}")
    info = read_json(Path(folder) / SHARD_RECORD)
    if not isinstance(info, dict) or info.get("format") != FORMAT_VERSION:
        found = shown(info.get("format")) if isinstance(info, dict) else "without a version"
        raise ValueError(f"{folder} has format {found}, this program reads {FORMAT_VERSION}")
    return info


def load_shard(folder: str | Path) -> HandImages:
    """Load a shard, memory-mapped and read-only.

    Raises:
        ValueError: the shard is not complete, or has another version or fields of another shape.
    """
    count = shard_info(folder)["count"]
    images = HandImages(*(_load_field(Path(folder), name, count) for name in FIELDS))
    check_hand_images(images)
    return images


def _load_field(folder: Path, name: str, count: int) -> np.ndarray:
    path = folder / f"{name}.npy"
    if name in _OPTIONAL and not path.is_file():
        shape, kind = FIELDS[name]
        return np.broadcast_to(np.array(np.nan, kind), (count, *shape))
    return np.load(path, mmap_mode="r")


def shard_folders(folder: str | Path) -> list[Path]:
    """List the complete shards in ``folder`` in the order of their names, or ``folder`` itself if it is one."""
    folder = Path(folder)
    if is_shard(folder):
        return [folder]
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder")
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and is_shard(path))


class ShardedHandImages:
    """Many shards as one table; only requested rows are read.

    Args:
        folders: folders of shards, or shards; they are listed once, at construction.

    Raises:
        ValueError: there is no shard in them, or a broken one.
    """

    def __init__(self, folders: Sequence[str | Path]) -> None:
        self.folders = [shard for folder in folders for shard in shard_folders(folder)]
        if not self.folders:
            raise ValueError(f"no complete shard in {[str(folder) for folder in folders]}")
        self.shards = [load_shard(folder) for folder in self.folders]
        self._ends = np.cumsum([shard.count for shard in self.shards])

    def __len__(self) -> int:
        """Number of hands."""
        return int(self._ends[-1])

    def rows(self, index: np.ndarray) -> HandImages:
        """Copy the rows ``index`` (m,), in that order.

        Raises:
            IndexError: a row outside [0, len).
        """
        index = np.asarray(index)
        if index.ndim != 1 or (len(index) and not (index.min() >= 0 and index.max() < len(self))):
            raise IndexError(f"index must be one-dimensional and in [0, {len(self)})")
        chosen = empty_hand_images(len(index))
        of_shard = np.searchsorted(self._ends, index, side="right")
        for number in np.unique(of_shard):
            places = np.flatnonzero(of_shard == number)
            shard = self.shards[number]
            local = index[places] - (self._ends[number] - shard.count)
            for target, field in zip(chosen, shard, strict=True):
                target[places] = field[local]
        return chosen
