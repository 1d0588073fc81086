"""Reads a folder of pseudo-labelled real hands: crops in tar files, and MediaPipe's landmarks.

The folder holds ``labels.npz``, with one row per crop, and any number of ``*.tar`` with a ``<id>.jpg`` for
each. Crops are square and cut parallel to the image's sides; they are black outside of the image.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.files.image_limits import check_image_size
from hand_pose_ros.files.safe_arrays import read_arrays

CROP_PX: Final = 192
_MOST_CROP_BYTES = 1 << 20
_COLUMNS: Final = {
    "names": ("id", ()),
    "repositories": ("repo", ()),
    "sides": ("handedness", ()),
    "boxes": ("box", (3,)),
    "sizes": ("src_wh", (2,)),
    "extents": ("src_ext", ()),
    "xy": ("xy", (hand.NUM_JOINTS, 2)),
    "world": ("world", (hand.NUM_JOINTS, 3)),
    "weight": ("weight", ()),
}
"""Field -> its stored column, and the shape of a row's entry."""
_SIDES: Final = {"Left": "left", "Right": "right"}


@dataclass(frozen=True, eq=False)
class RealHandLabels:
    """n crops of hands and MediaPipe's landmarks; the columns of ``labels.npz``.

    names: (n,) str. repositories: (n,) str, the source. sides: (n,) 'left' or 'right', as it appears in the image.
    boxes: (n, 3) upper left corner and side of the crop in the image, pixels, counted from the image's edge.
    sizes: (n, 2) width and height of the image. extents: (n,) larger side of the landmarks' box in it.
    xy: (n, 21, 2) landmarks in the crop, whose first pixel's centre is 0, 0. world: (n, 21, 3) m, camera's axes.
    weight: (n,) in [0, 1], self-consistency of the label.
    """

    names: np.ndarray
    repositories: np.ndarray
    sides: np.ndarray
    boxes: np.ndarray
    sizes: np.ndarray
    extents: np.ndarray
    xy: np.ndarray
    world: np.ndarray
    weight: np.ndarray

    @property
    def count(self) -> int:
        """Number of crops."""
        return len(self.names)

    def rows(self, index: np.ndarray) -> RealHandLabels:
        """Return the rows of row numbers or a mask."""
        return RealHandLabels(*(getattr(self, item.name)[index] for item in fields(self)))

    @property
    def image_points(self) -> np.ndarray:
        """(n, 21, 2) landmarks in pixels of the image, whose first pixel's centre is 0, 0."""
        return self.boxes[:, None, :2] + (self.xy + 0.5) * (self.boxes[:, None, 2:] / CROP_PX) - 0.5

    @property
    def crop_of_image(self) -> np.ndarray:
        """(n, 3, 3) from pixels of the image to pixels of the crop; in both, the first one's centre is 0, 0."""
        scale = CROP_PX / self.boxes[:, 2].astype(np.float64)
        matrix = np.zeros((self.count, 3, 3))
        matrix[:, 0, 0] = matrix[:, 1, 1] = scale
        matrix[:, :2, 2] = (0.5 - self.boxes[:, :2]) * scale[:, None] - 0.5
        matrix[:, 2, 2] = 1
        return matrix


def read_labels(folder: str | Path) -> RealHandLabels:
    """Read the table.

    Raises:
        ValueError: it is missing, or lacks a column.
    """
    path = Path(folder) / "labels.npz"
    if not path.is_file():
        raise ValueError(f"no labels.npz in {folder}")
    stored = read_arrays(path)
    missing = sorted({column for column, _ in _COLUMNS.values()} - set(stored))
    if missing:
        raise ValueError(f"{path} lacks the columns {', '.join(missing)}")
    columns = {name: stored[column] for name, (column, _) in _COLUMNS.items()}
    for name, (column, shape) in _COLUMNS.items():
        if columns[name].shape != (len(columns["names"]), *shape):
            raise ValueError(
                f"{column} of {path} must be {(len(columns['names']), *shape)}, got {columns[name].shape}"
            )
    sides = set(columns["sides"].tolist())
    if not sides <= _SIDES.keys():
        raise ValueError(f"handedness of {path} must be Left or Right, got {sorted(sides)}")
    columns["sides"] = np.array([_SIDES[side] for side in columns["sides"].tolist()], dtype="<U5")
    return RealHandLabels(**columns)


def read_crops(folder: str | Path, names: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the crops (192, 192, 3) uint8 BGR called ``names``, in that order.

    Raises:
        ValueError: a crop is missing, or is not such an image.
    """
    paths = sorted(Path(folder).glob("*.tar"))
    with ExitStack() as stack:
        members = {}
        for path in paths:
            archive = stack.enter_context(tarfile.open(path))
            members.update({member.name: (archive, member) for member in archive if member.isfile()})
        for name in names.tolist():
            found = members.get(f"{name}.jpg")
            if found is None:
                raise ValueError(f"none of the {len(paths)} tar files in {folder} holds {name}.jpg")
            archive, member = found
            yield _crop(archive.extractfile(member).read(_MOST_CROP_BYTES), f"{name}.jpg of {folder}")


def _crop(content: bytes, name: str) -> np.ndarray:
    try:
        check_image_size(content, CROP_PX * CROP_PX)
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except (ValueError, cv2.error) as error:
        raise ValueError(f"{name} is not an image of {CROP_PX} x {CROP_PX} pixels: {error}") from error
    if image is None or image.shape != (CROP_PX, CROP_PX, 3):
        raise ValueError(f"{name} is not an image of {CROP_PX} x {CROP_PX} pixels")
    return image
