"""Small procedural textures for cloth, objects and walls: colours mixed by stripes, checks, dots, clouds."""

from __future__ import annotations

import cv2
import numpy as np

from hand_pose_ros.rendering.skin import linear_from_srgb


def random_pattern(size: int, generator: np.random.Generator) -> np.ndarray:
    """A image (size, size, 3) float32 sRGB in [0, 1]: two or three colours mixed by a random pattern."""
    kinds = (_plain, _stripes, _checks, _dots, _grain, _clouds, _patches, _weave)
    share = kinds[generator.integers(len(kinds))](size, generator)[..., None]
    first = random_colour(generator)
    # Often a shade of the same colour, else another one.
    second = first * generator.uniform(0.3, 1.6) if generator.random() < 0.5 else random_colour(generator)
    image = first + share * (second.clip(0, 1) - first)
    image *= 1 + generator.uniform(0.02, 0.12) * _noise(size, generator.integers(2, 40), generator)[..., None]
    return image.clip(0, 1).astype(np.float32)


def random_albedo(size: int, generator: np.random.Generator) -> np.ndarray:
    """The same in linear light, no darker or brighter than materials are."""
    return linear_from_srgb(random_pattern(size, generator)).clip(0.02, 0.85).astype(np.float32)


def random_colour(generator: np.random.Generator) -> np.ndarray:
    """(3,) sRGB in [0, 1]: greys and whites, muted colours, now and then a strong one, now and then a skin's."""
    kind = generator.random()
    value = generator.uniform(0.04, 1.0)
    if kind < 0.3:
        return (value * (1 + generator.uniform(-0.06, 0.06, 3))).clip(0, 1)
    if kind < 0.42:  # what skin may be confused with: wood, cardboard, other skin
        return (value * np.array((1.0, generator.uniform(0.6, 0.85), generator.uniform(0.35, 0.7)))).clip(
            0, 1
        )
    hue, saturation = generator.uniform(0, 6), generator.uniform(0.1, 0.6 if kind < 0.85 else 1.0)
    channels = (np.abs((hue + np.array((0, 4, 2))) % 6 - 3) - 1).clip(0, 1)
    return value * (1 - saturation * (1 - channels))


def _plain(size: int, generator: np.random.Generator) -> np.ndarray:
    x, y = _turned(size, generator)
    return (generator.uniform(0, 1) * (x * generator.choice((0, 1)) + y) * 0.5 + 0.5).clip(0, 1)


def _stripes(size: int, generator: np.random.Generator) -> np.ndarray:
    x, _ = _turned(size, generator)
    wave = np.sin(np.pi * generator.uniform(2, 16) * x + generator.uniform(0, 6))
    return (wave * generator.choice((1.0, 8.0)) + 0.5).clip(0, 1)


def _checks(size: int, generator: np.random.Generator) -> np.ndarray:
    x, y = _turned(size, generator)
    count = np.pi * generator.uniform(2, 8)
    wave = np.sin(count * x + 1) * np.sin(count * y + 2)
    return (wave * generator.choice((1.5, 12.0)) + 0.5).clip(0, 1)


def _dots(size: int, generator: np.random.Generator) -> np.ndarray:
    x, y = _turned(size, generator)
    count = np.pi * generator.uniform(2, 8)
    wave = np.cos(count * x) + np.cos(count * y)
    return ((wave - generator.uniform(0.3, 1.2)) * 6).clip(0, 1)


def _grain(size: int, generator: np.random.Generator) -> np.ndarray:
    x, y = _turned(size, generator)
    bend = generator.uniform(0.5, 3) * np.sin(generator.uniform(1, 4) * x + generator.uniform(0, 6))
    return 0.5 + 0.5 * np.sin(generator.uniform(15, 50) * y + bend + 2 * _noise(size, 5, generator))


def _clouds(size: int, generator: np.random.Generator) -> np.ndarray:
    noise = np.zeros((size, size))
    for cells in (2, 4, 8, 16, 32):
        noise = noise + _noise(size, cells, generator) / cells**0.5
    return (0.5 + generator.uniform(0.3, 1.0) * noise).clip(0, 1)


def _patches(size: int, generator: np.random.Generator) -> np.ndarray:
    image = np.zeros((size, size), dtype=np.float32)
    for _ in range(generator.integers(3, 14)):
        corners = generator.uniform(-0.1, 1.1, (generator.integers(3, 6), 2)) * size
        cv2.fillConvexPoly(
            image, cv2.convexHull(corners.astype(np.int32)), (float(generator.random()),), cv2.LINE_AA
        )
    return image


def _weave(size: int, generator: np.random.Generator) -> np.ndarray:
    x, y = _turned(size, generator)
    count = generator.uniform(20, 60)
    return 0.5 + 0.25 * (np.sin(count * x) + np.sin(count * y)) + 0.3 * _noise(size, 6, generator)


def _turned(size: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (size, size) in [-1.4, 1.4], turned by a random angle."""
    steps = np.linspace(-1, 1, size, dtype=np.float32)
    x, y = np.meshgrid(steps, steps)
    angle = generator.choice((0.0, np.pi / 2, generator.uniform(0, np.pi)))
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cosine * x - sine * y, sine * x + cosine * y


def _noise(size: int, cells: int, generator: np.random.Generator) -> np.ndarray:
    """Smooth noise (size, size) of standard deviation about 0.6, with ``cells`` bumps along each side."""
    coarse = generator.normal(size=(cells + 2, cells + 2)).astype(np.float32)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
