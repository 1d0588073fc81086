"""The module reads Image and CompressedImage messages in any common encoding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from hand_pose_ros.files.image_limits import MOST_PIXELS
from hand_pose_ros.video.image_data import bgr_from_compressed, bgr_from_message


def image_to_bgr(message: Image, most_pixels: int = MOST_PIXELS) -> np.ndarray:
    """Pixels (H, W, 3) uint8 BGR; see :func:`~hand_pose_ros.video.image_data.bgr_from_message`."""
    if message.width * message.height > most_pixels:
        raise ValueError(
            f"the image has {message.width}x{message.height} pixels, at most {most_pixels} are allowed"
        )
    return bgr_from_message(message)


def compressed_to_bgr(message: CompressedImage, most_pixels: int = MOST_PIXELS) -> np.ndarray:
    """Pixels (H, W, 3) uint8 BGR; see :func:`~hand_pose_ros.video.image_data.bgr_from_compressed`."""
    return bgr_from_compressed(message.data, message.format, most_pixels)


CONVERTERS: Final[dict[type, Callable[..., np.ndarray]]] = {
    Image: image_to_bgr,
    CompressedImage: compressed_to_bgr,
}
"""The conversion of each type of message, with a limit of pixels."""
