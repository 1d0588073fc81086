"""What a hand detector is, and the image that every detector takes."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from hand_pose_ros.pose import Detection


class DetectorUnavailableError(ImportError):
    """A detector needs something that is not installed; the message says what, and how to get it."""


class HandDetector(Protocol):
    """Finds hands in an image; may carry a track from one call to the next."""

    def detect(self, image_bgr: np.ndarray) -> list[Detection]:
        """The hands of an (H, W, 3) uint8 BGR image, best first, without duplicates.

        The side is that of the hand as pictured: the image must not be mirrored.
        """
        ...

    def reset(self) -> None:
        """Forget what was tracked."""
        ...

    def close(self) -> None:
        """Free the detector's resources."""
        ...


def check_image(image_bgr: np.ndarray) -> np.ndarray:
    """Return the image, contiguous in memory, if it is (H, W, 3) uint8 with at least one pixel.

    Raises:
        ValueError: it has another type or shape.
    """
    if not isinstance(image_bgr, np.ndarray):
        raise ValueError(f"the image must be an array, got {type(image_bgr).__name__}")
    if image_bgr.dtype != np.uint8 or image_bgr.ndim != 3 or image_bgr.shape[2] != 3 or not image_bgr.size:
        raise ValueError(
            "the image must be uint8 of shape (height, width, 3), "
            f"got {image_bgr.dtype} of shape {image_bgr.shape}"
        )
    return np.ascontiguousarray(image_bgr)
