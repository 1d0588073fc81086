"""Procedural backgrounds: a wall, a table's edge and out-of-focus furniture, never the same twice."""

from __future__ import annotations

import cv2
import numpy as np


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
