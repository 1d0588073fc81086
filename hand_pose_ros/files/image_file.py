"""Reading of image files whose size is checked before they are decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.files.image_limits import MOST_PIXELS, check_image_size
from hand_pose_ros.files.regular_file import read_file

MOST_FILE_BYTES: Final = 512 << 20


def read_image(
    path: str | Path, flags: int = cv2.IMREAD_COLOR, most_pixels: int = MOST_PIXELS
) -> NDArray[Any]:
    """Read an image file: (height, width, 3) uint8 BGR, or as ``flags`` of ``cv2.imdecode`` say.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: it is not a regular file, not an image, or has more than ``most_pixels`` pixels.
    """
    content = read_file(path, MOST_FILE_BYTES)
    try:
        check_image_size(content, most_pixels)
        image: Any = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except (ValueError, cv2.error) as error:
        raise ValueError(f"{path} cannot be read as an image: {error}") from error
    if image is None:
        raise ValueError(f"{path} cannot be read as an image: it is damaged")
    return image
