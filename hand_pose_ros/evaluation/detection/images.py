"""The images that detectors are compared on: photos with one labelled hand at several sizes, and without hands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from hand_pose_ros.datasets.photo_folder import read_samples
from hand_pose_ros.files.image_file import read_image
from hand_pose_ros.hand_images.real.labels import CROP_PX
from hand_pose_ros.hand_images.real.sources import HELD_BACK
from hand_pose_ros.hand_images.scenes.photos import beside_hand, read_photos
from hand_pose_ros.rendering.background import list_photos

_CANVAS_PX: Final = (640, 480)  # width and height of the images that photos are put into
_GREY: Final = 128
_LEAST_PIECE_PX: Final = 28
_PIECES_PX: Final = 320  # side of an image made of a piece


@dataclass(frozen=True)
class SceneImage:
    """An image (H, W, 3) uint8 BGR, and the hand in it: points_px (21, 2) and side; None and '' without a hand."""

    image: np.ndarray
    points_px: np.ndarray | None = None
    side: str = ""


def unseen_photos(folders: Sequence[Path], share: float, every: int) -> Iterator[SceneImage]:
    """Yield photos of held-back sources amid grey, the hand's extent being a ``share`` of 640 pixels.

    The crops are twice as large as the hand; what is beyond the grey image is cut off.

    Raises:
        ValueError: a folder holds no such photos.
    """
    width, height = _CANVAS_PX
    photos = read_photos(folders, HELD_BACK)
    for row in range(0, photos.count, every):
        points = photos.points[row].astype(np.float64)
        low, high = points.min(0), points.max(0)
        scale = share * width / float((high - low).max())
        middle = (low + high) / 2
        matrix = np.array(
            ((scale, 0, width / 2 - scale * middle[0]), (0, scale, height / 2 - scale * middle[1])),
            np.float64,
        )
        side = round(scale * CROP_PX)
        photo, flags = photos.image[row], cv2.INTER_LINEAR
        if scale < 1:  # averaged first, so that nothing aliases
            photo = cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA)
            ratio = CROP_PX / side
            matrix = matrix @ np.array(
                ((ratio, 0, (ratio - 1) / 2), (0, ratio, (ratio - 1) / 2), (0, 0, 1)), np.float64
            )
        image = cv2.warpAffine(
            photo, matrix, _CANVAS_PX, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=(_GREY,) * 3
        )
        placed = (points - middle) * scale + (width / 2, height / 2)
        yield SceneImage(image, placed, "right" if photos.right[row] else "left")


def labelled_photos(folder: Path, every: int, shrink: float = 1.0) -> Iterator[SceneImage]:
    """Yield photos of a ``samples.json``; with ``shrink`` below 1 each is that much smaller, amid grey.

    Raises:
        ValueError: see :func:`~hand_pose_ros.datasets.photo_folder.read_samples`.
    """
    for photo in read_samples(folder)[::every]:
        image, points = photo.image(), photo.points_px
        if shrink < 1:
            height, width = image.shape[:2]
            size = max(1, round(width * shrink)), max(1, round(height * shrink))
            corner = ((width - size[0]) // 2, (height - size[1]) // 2)
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            image = np.full_like(image, _GREY)
            image[corner[1] : corner[1] + size[1], corner[0] : corner[0] + size[0]] = small
            points = (points + 0.5) * (np.array(size) / (width, height)) - 0.5 + corner
        yield SceneImage(image, points, photo.side)


def images_without_hands(folder: Path) -> Iterator[SceneImage]:
    """Yield the images in a folder and those below it, which show no hand.

    Raises:
        ValueError: there is none.
    """
    for path in list_photos(folder):
        yield SceneImage(read_image(path))


def parts_without_hands(folders: Sequence[Path], every: int) -> Iterator[SceneImage]:
    """Yield parts beside the hands of photos of held-back sources: faces, clothes, rooms, forearms.

    Raises:
        ValueError: a folder holds no such photos.
    """
    photos = read_photos(folders, HELD_BACK)
    for row in range(0, photos.count, every):
        for x0, y0, x1, y1 in beside_hand(photos, row, _LEAST_PIECE_PX):
            piece = photos.image[row, y0:y1, x0:x1]
            scale = _PIECES_PX / max(piece.shape[:2])
            yield SceneImage(cv2.resize(piece, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC))
