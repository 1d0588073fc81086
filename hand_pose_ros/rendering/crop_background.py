"""Backgrounds of training crops: a stock of pictures, made or read once, of which each crop gets a random part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from hand_pose_ros.rendering.background import room_background
from hand_pose_ros.rendering.patterns import random_colour, random_pattern

_ROOM_SIZE = (480, 360)
_PATTERN_SIZE = 256
_PHOTO_SIDE = 640
_PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_PHOTO_SHARE = 0.6  # where photos are given
_CLUTTER_SHARE = 0.4


def list_photos(folder: str | Path) -> list[Path]:
    """The pictures in a folder and those below it, in the order of their names.

    Raises:
        ValueError: there is none.
    """
    photos = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in _PHOTO_SUFFIXES)
    if not photos:
        raise ValueError(f"no picture in {folder}")
    return photos


class BackgroundStock:
    """Rooms, patterns and photos to cut backgrounds from.

    Args:
        generator: where the randomness comes from.
        count: how many pictures are kept.
        photos: files of which some are used.
    """

    def __init__(self, generator: np.random.Generator, count: int, photos: Sequence[Path] = ()) -> None:
        self._pictures = [_picture(generator, photos) for _ in range(count)]

    def cut(self, size: int, generator: np.random.Generator) -> np.ndarray:
        """A background (size, size, 3) uint8 BGR: part of a picture, turned, recoloured, blurred, with clutter."""
        picture = self._pictures[generator.integers(len(self._pictures))]
        height, width = picture.shape[:2]
        side = min(height, width) * generator.uniform(0.25, 1.0)
        angle = generator.normal() * 0.25 if generator.random() < 0.7 else generator.uniform(0, 2 * np.pi)
        cosine, sine = side / size * np.cos(angle), side / size * np.sin(angle)
        flip = generator.choice((-1, 1))
        turn = np.array(((cosine * flip, -sine), (sine * flip, cosine)))
        middle = generator.uniform((0.25 * width, 0.25 * height), (0.75 * width, 0.75 * height))
        to_picture = np.column_stack((turn, middle - turn @ (size / 2, size / 2)))
        cut = cv2.warpAffine(
            picture,
            to_picture,
            (size, size),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        if generator.random() < _CLUTTER_SHARE:
            _clutter(cut, generator)
        gain = np.exp(0.35 * generator.normal() + 0.08 * generator.normal(size=3))
        offset = generator.uniform(-25, 25)
        table = (np.arange(256)[:, None] * gain + offset).clip(0, 255).astype(np.uint8)
        cut = cv2.LUT(cut, table[:, None])
        blur = generator.uniform(-1.5, 3.0)  # often none: what is behind the hand is often in focus
        return cv2.GaussianBlur(cut, (0, 0), blur) if blur > 0.3 else cut


def _picture(generator: np.random.Generator, photos: Sequence[Path]) -> np.ndarray:
    if photos and generator.random() < _PHOTO_SHARE:
        photo = cv2.imread(str(photos[generator.integers(len(photos))]), cv2.IMREAD_COLOR)
        if photo is not None:
            scale = _PHOTO_SIDE / max(photo.shape[:2])
            return cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if generator.random() < 0.5:
        return room_background(*_ROOM_SIZE, int(generator.integers(2**31)))
    first = random_pattern(_PATTERN_SIZE, generator)
    if generator.random() < 0.5:  # two surfaces that meet: wall and table, near and far
        line = np.linspace(-1, 1, _PATTERN_SIZE, dtype=np.float32)
        x, y = np.meshgrid(line, line)
        edge = (y + generator.normal() * 0.3 * x + generator.uniform(-0.5, 0.5)) * generator.uniform(3, 60)
        share = (edge + 0.5).clip(0, 1)[..., None]
        first = first + share * (random_pattern(_PATTERN_SIZE, generator) - first)
    return (first * 255).astype(np.uint8)


def _clutter(picture: np.ndarray, generator: np.random.Generator) -> None:
    """Draw a few shapes of any colour."""
    size = len(picture)
    for _ in range(generator.integers(1, 7)):
        colour = (255 * random_colour(generator)).tolist()
        middle = generator.uniform(0, size, 2).astype(int).tolist()
        kind = generator.integers(3)
        if kind == 0:
            axes = generator.uniform(3, size / 3, 2).astype(int).tolist()
            cv2.ellipse(picture, middle, axes, generator.uniform(0, 180), 0, 360, colour, -1, cv2.LINE_AA)
        elif kind == 1:
            corners = middle + generator.normal(0, size / 5, (4, 2))
            cv2.fillConvexPoly(picture, cv2.convexHull(corners.astype(np.int32)), colour, cv2.LINE_AA)
        else:
            end = generator.uniform(0, size, 2).astype(int).tolist()
            cv2.line(picture, middle, end, colour, int(generator.integers(1, 14)), cv2.LINE_AA)
