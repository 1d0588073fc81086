"""Text on images, with a rim that keeps it legible on any background."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_RIM_BGR: Final = (20, 20, 20)


def draw_text(
    canvas: np.ndarray,
    text: str,
    at_px: tuple[float, float],
    bgr: tuple[int, int, int],
    size: float,
    thickness: int = 1,
) -> None:
    """Write one line into an image (h, w, 3) uint8 BGR, in place, moved so that it lies inside.

    The rim is the letters grown by a pixel. Thicker letters would not do: OpenCV 5 spaces them more widely.

    Args:
        at_px: the left end of the base line, (x, y) pixels.
        size: in units of OpenCV's base size, capitals of about 21 px.
    """
    (width, height), base = cv2.getTextSize(text, _FONT, size, thickness)
    x = int(np.clip(at_px[0], 2, max(2, canvas.shape[1] - width - 2)))
    y = int(np.clip(at_px[1], height + 2, max(height + 2, canvas.shape[0] - base - 2)))
    margin = thickness + 2
    left, top = max(0, x - margin), max(0, y - height - margin)
    part = canvas[top : y + base + margin, left : x + width + margin]
    letters = np.zeros(part.shape[:2], np.uint8)
    cv2.putText(letters, text, (x - left, y - top), _FONT, size, (255,), thickness, cv2.LINE_AA)
    rim = cv2.dilate(letters, np.ones((3, 3), np.uint8))
    for opacity, colour in ((rim, _RIM_BGR), (letters, bgr)):
        share = opacity[..., None] / 255
        part[:] = np.rint(part * (1 - share) + np.array(colour) * share)
