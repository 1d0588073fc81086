"""A letterbox scales an image to fit a network's input, fills the rest with grey, and maps pixels there and back.

Pixel (0, 0) is the centre of the upper left pixel in the image. In the input,
coordinates follow detection networks: the upper left *corner* of the first pixel is (0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

FILL: Final = 114
"""Grey of the bars, that YOLO networks are trained with."""


@dataclass(frozen=True)
class Letterbox:
    """Maps an image of ``image_size`` to an input of ``input_size``; both (width, height), pixels."""

    image_size: tuple[int, int]
    input_size: tuple[int, int]

    @property
    def scaled_size(self) -> tuple[int, int]:
        """(width, height) of the scaled image: whole pixels, so the two scales may differ a little."""
        scale = min(a / b for a, b in zip(self.input_size, self.image_size, strict=True))
        width, height = (max(1, round(scale * side)) for side in self.image_size)
        return width, height

    def apply(self, image: np.ndarray) -> np.ndarray:
        """The input (h, w, 3) that shows an image (H, W, 3)."""
        width, height = self.scaled_size
        left, top = self._offset
        shrinks = width < self.image_size[0]
        scaled = cv2.resize(
            image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        result = np.full((self.input_size[1], self.input_size[0], 3), FILL, dtype=image.dtype)
        result[top : top + height, left : left + width] = scaled
        return result

    def to_input(self, pixels: np.ndarray) -> np.ndarray:
        """Coordinates (..., 2) in the input of pixels (..., 2) of the image."""
        return (pixels + 0.5) * self._scale + self._offset

    def to_image(self, coordinates: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of the image at coordinates (..., 2) of the input."""
        return (coordinates - self._offset) / self._scale - 0.5

    @property
    def _offset(self) -> tuple[int, int]:
        left, top = ((a - b) // 2 for a, b in zip(self.input_size, self.scaled_size, strict=True))
        return left, top

    @property
    def _scale(self) -> np.ndarray:
        return np.array(self.scaled_size) / np.array(self.image_size)
