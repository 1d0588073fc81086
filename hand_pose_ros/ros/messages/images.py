"""The module decodes Image and CompressedImage messages in any common encoding."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image


@dataclass(frozen=True)
class _Encoding:
    """Storage of pixels, and the cv2 code that converts them to BGR (None if they are BGR)."""

    channels: int
    code: int | None = None
    dtype: type = np.uint8


# ROS names a Bayer pattern by its first two pixels of row one and two, OpenCV by the second row and column.
_ENCODINGS: Final = {
    "bgr8": _Encoding(3),
    "8UC3": _Encoding(3),
    "rgb8": _Encoding(3, cv2.COLOR_RGB2BGR),
    "bgra8": _Encoding(4, cv2.COLOR_BGRA2BGR),
    "8UC4": _Encoding(4, cv2.COLOR_BGRA2BGR),
    "rgba8": _Encoding(4, cv2.COLOR_RGBA2BGR),
    "mono8": _Encoding(1, cv2.COLOR_GRAY2BGR),
    "8UC1": _Encoding(1, cv2.COLOR_GRAY2BGR),
    "mono16": _Encoding(1, cv2.COLOR_GRAY2BGR, np.uint16),
    "16UC1": _Encoding(1, cv2.COLOR_GRAY2BGR, np.uint16),
    "yuv422": _Encoding(2, cv2.COLOR_YUV2BGR_UYVY),
    "uyvy": _Encoding(2, cv2.COLOR_YUV2BGR_UYVY),
    "yuv422_yuy2": _Encoding(2, cv2.COLOR_YUV2BGR_YUY2),
    "yuyv": _Encoding(2, cv2.COLOR_YUV2BGR_YUY2),
    "bayer_rggb8": _Encoding(1, cv2.COLOR_BayerBG2BGR),
    "bayer_bggr8": _Encoding(1, cv2.COLOR_BayerRG2BGR),
    "bayer_gbrg8": _Encoding(1, cv2.COLOR_BayerGR2BGR),
    "bayer_grbg8": _Encoding(1, cv2.COLOR_BayerGB2BGR),
}
SUPPORTED_ENCODINGS: Final = tuple(_ENCODINGS)


def image_to_bgr(message: Image) -> np.ndarray:
    """Pixels (H, W, 3) uint8 BGR; a view of the message's data where that is possible.

    16-bit images become 8-bit: mono16 by its full range; 16UC1, which often holds 10 or 12 bits, by the number of
    bits that its brightest pixel needs.

    Raises:
        ValueError: no pixels, an encoding that is not supported, or data that do not fit the stated size and step.
    """
    encoding = _ENCODINGS.get(message.encoding)
    if encoding is None:
        raise ValueError(
            f"the encoding {message.encoding!r} is not supported; supported are {', '.join(_ENCODINGS)}"
        )
    height, width = message.height, message.width
    if height == 0 or width == 0:
        raise ValueError(f"the image has no pixels: its size is {width}x{height}")
    if encoding.channels == 2 and width % 2:
        raise ValueError(f"a {message.encoding} image must have an even width, got {width}")
    item_bytes = np.dtype(encoding.dtype).itemsize
    row_bytes = width * encoding.channels * item_bytes
    if message.step < row_bytes:
        raise ValueError(
            f"step is {message.step} bytes, but a row of {width} {message.encoding} pixels takes {row_bytes}"
        )
    # The last row may lack its padding.
    expected = message.step * (height - 1) + row_bytes
    if len(message.data) < expected:
        raise ValueError(
            f"the data are truncated: {len(message.data)} bytes, but {height} rows of {message.step} are stated"
        )
    data = np.frombuffer(message.data, np.uint8, expected)
    rows = np.lib.stride_tricks.as_strided(data, (height, row_bytes), (message.step, 1), writeable=False)
    pixels = np.ascontiguousarray(rows).view(encoding.dtype).reshape(height, width, encoding.channels)
    if encoding.dtype is np.uint16:
        pixels = _to_8_bit(pixels, bool(message.is_bigendian), message.encoding == "mono16")
    return pixels if encoding.code is None else cv2.cvtColor(pixels, encoding.code)


def compressed_to_bgr(message: CompressedImage) -> np.ndarray:
    """Pixels (H, W, 3) uint8 BGR of a JPEG or PNG image; its EXIF orientation is ignored.

    Raises:
        ValueError: the data cannot be decoded.
    """
    data = np.frombuffer(message.data, np.uint8)
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION) if len(data) else None
    except cv2.error as error:
        raise ValueError(f"the {message.format!r} image cannot be decoded: {error}") from error
    if pixels is None:
        raise ValueError(f"the {message.format!r} image of {len(data)} bytes cannot be decoded")
    return pixels


def _to_8_bit(pixels: np.ndarray, is_bigendian: bool, full_range: bool) -> np.ndarray:
    if is_bigendian != (sys.byteorder == "big"):
        pixels = pixels.byteswap()
    bits = 16 if full_range else max(8, int(pixels.max()).bit_length())
    return (pixels >> (bits - 8)).astype(np.uint8)


CONVERTERS: Final[dict[type, Callable[..., np.ndarray]]] = {
    Image: image_to_bgr,
    CompressedImage: compressed_to_bgr,
}
"""The conversion of each type of message."""
