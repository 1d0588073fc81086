"""Backgrounds: procedural rooms, and the stock of rooms, patterns and photos that training crops take parts of."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from hand_pose_ros.files.image_file import read_image
from hand_pose_ros.rendering.patterns import random_colour, random_pattern

_ROOM_SIZE = (480, 360)
_PATTERN_SIZE = 256
_LOGGER = logging.getLogger(__name__)
_PHOTO_SIDE = 640
_PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_PHOTO_SHARE = 0.6  # where photos are given
_CLUTTER_SHARE = 0.4


def room_background(width: int, height: int, seed: int) -> np.ndarray:
    """A blurred room (H, W, 3) uint8 BGR, the same for the same seed."""
    if width <= 0 or height <= 0:
        raise ValueError(f"width and height must be positive, got {width} and {height}")
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j].astype(np.float32)
    wall = generator.uniform(95, 190) * (1 + generator.uniform(-0.08, 0.08, 3))
    window = generator.uniform(-0.2, 1.2)
    light = 0.78 + 0.35 * np.exp(-(((x - window) / 0.6) ** 2) - ((y - 0.2) / 0.9) ** 2)
    picture = wall * light[..., None]
    for _ in range(generator.integers(4, 9)):
        _draw_furniture(picture, generator)
    floor = generator.uniform(0.72, 1.05)
    table = generator.uniform(35, 150) * np.array((0.75, 0.95, 1.15)) * generator.uniform(0.92, 1.06, 3)
    edge = ((y - floor - 0.04 * (x - 0.5)) * 60).clip(0, 1)[..., None]
    grain = 1 + 0.06 * np.sin(90 * y + 6 * np.sin(9 * x + generator.uniform(0, 6)))
    picture = picture * (1 - edge) + edge * table * (light * grain)[..., None]
    picture = cv2.GaussianBlur(picture, (0, 0), 0.006 * width)
    cloudy = cv2.resize(
        generator.normal(size=(12, 16)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )
    rough = cv2.GaussianBlur(generator.normal(size=(height, width)).astype(np.float32), (0, 0), 0.8)
    picture *= (1 + 0.03 * cloudy + 0.025 * rough)[..., None]
    return picture.clip(0, 255).astype(np.uint8)


def _draw_furniture(picture: np.ndarray, generator: np.random.Generator) -> None:
    """One box with a lit and a dark edge: a frame, a shelf, a door, books."""
    height, width = picture.shape[:2]
    size = generator.uniform((0.05, 0.08), (0.35, 0.6)) * (width, height)
    corner = generator.uniform(-0.1, 1.0, 2) * (width, height)
    low, high = (tuple(int(v) for v in point) for point in (corner, corner + size))
    colour = generator.uniform(30, 200) * (1 + generator.uniform(-0.18, 0.18, 3))
    cv2.rectangle(picture, low, high, colour.tolist(), -1)
    cv2.rectangle(picture, low, high, (colour * generator.uniform(0.5, 0.8)).tolist(), max(1, width // 200))
    if generator.random() < 0.5:
        for step in np.linspace(low[0], high[0], generator.integers(3, 9)):
            shade = (colour * generator.uniform(0.6, 1.2)).tolist()
            cv2.line(picture, (int(step), low[1]), (int(step), high[1]), shade, max(1, width // 160))


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
        try:
            photo = read_image(photos[generator.integers(len(photos))])
        except (ValueError, OSError) as error:
            _LOGGER.warning("not used as a background: %s", error)
        else:
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
