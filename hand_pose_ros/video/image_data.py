"""The one conversion of image data to BGR pixels: raw encodings of sensor_msgs/Image, and compressed images.

The live node, the video player and the readers of recordings share it. It knows no ROS: it takes the fields.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np

from hand_pose_ros.files.image_limits import MOST_PIXELS, check_image_size

_SCALED_SHARE: Final = 0.999  # of the pixels that must not be clipped when 16 bits become 8


@dataclass(frozen=True)
class _Encoding:
    """Storage of pixels, and the cv2 code that converts them to BGR (None if they are BGR).

    rows: rows of the stored array for each two rows of the image; planar formats store more.
    """

    channels: int
    code: int | None = None
    dtype: type = np.uint8
    rows: int = 2
    even: bool = False


# ROS names a Bayer pattern by its first two pixels of row one and two, OpenCV by the second row and column.
_BAYER: Final = {
    "rggb": cv2.COLOR_BayerBG2BGR,
    "bggr": cv2.COLOR_BayerRG2BGR,
    "gbrg": cv2.COLOR_BayerGR2BGR,
    "grbg": cv2.COLOR_BayerGB2BGR,
}
_ENCODINGS: Final[dict[str, _Encoding]] = {
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
    "bgr16": _Encoding(3, None, np.uint16),
    "16UC3": _Encoding(3, None, np.uint16),
    "rgb16": _Encoding(3, cv2.COLOR_RGB2BGR, np.uint16),
    "bgra16": _Encoding(4, cv2.COLOR_BGRA2BGR, np.uint16),
    "16UC4": _Encoding(4, cv2.COLOR_BGRA2BGR, np.uint16),
    "rgba16": _Encoding(4, cv2.COLOR_RGBA2BGR, np.uint16),
    "yuv422": _Encoding(2, cv2.COLOR_YUV2BGR_UYVY, even=True),
    "uyvy": _Encoding(2, cv2.COLOR_YUV2BGR_UYVY, even=True),
    "yuv422_yuy2": _Encoding(2, cv2.COLOR_YUV2BGR_YUY2, even=True),
    "yuyv": _Encoding(2, cv2.COLOR_YUV2BGR_YUY2, even=True),
    "nv12": _Encoding(1, cv2.COLOR_YUV2BGR_NV12, rows=3, even=True),
    "nv21": _Encoding(1, cv2.COLOR_YUV2BGR_NV21, rows=3, even=True),
    "yuv420": _Encoding(1, cv2.COLOR_YUV2BGR_I420, rows=3, even=True),
    "i420": _Encoding(1, cv2.COLOR_YUV2BGR_I420, rows=3, even=True),
    **{f"bayer_{pattern}8": _Encoding(1, code) for pattern, code in _BAYER.items()},
    **{f"bayer_{pattern}16": _Encoding(1, code, np.uint16) for pattern, code in _BAYER.items()},
}
SUPPORTED_ENCODINGS: Final = tuple(_ENCODINGS)
"""Encodings of raw images that can be read."""
_MEASUREMENTS: Final = re.compile(r"(8S|16S|32S|32F|64F)C\d*$")


def bgr_from_raw(
    data: Any, height: int, width: int, step: int, encoding: str, is_bigendian: bool = False
) -> np.ndarray:
    """Pixels (height, width, 3) uint8 BGR of an image as sensor_msgs/Image holds it; a view where possible.

    16-bit images become 8-bit: many cameras fill 10 or 12 of the 16 bits, so the range is that of all but the
    brightest thousandth of the pixels, rounded up to a power of two.

    Args:
        data: bytes, as an array or buffer. step: bytes per row, with padding, which the last row may lack.

    Raises:
        ValueError: no pixels, an encoding that is not supported, or data that do not fit the stated size and step.
    """
    stored = _ENCODINGS.get(encoding)
    if stored is None:
        raise ValueError(_unsupported(encoding))
    if height <= 0 or width <= 0:
        raise ValueError(f"the image has no pixels: its size is {width}x{height}")
    if stored.even and (width % 2 or (stored.rows != 2 and height % 2)):
        sides = "width" if stored.rows == 2 else "width and height"
        raise ValueError(f"a {encoding} image must have an even {sides}, got {width}x{height}")
    row_bytes = width * stored.channels * np.dtype(stored.dtype).itemsize
    if step < row_bytes:
        raise ValueError(f"step is {step} bytes, but a row of {width} {encoding} pixels takes {row_bytes}")
    rows = height * stored.rows // 2
    expected = step * (rows - 1) + row_bytes
    if len(data) < expected:
        raise ValueError(f"the data are truncated: {len(data)} bytes, but {rows} rows of {step} are stated")
    buffer = np.frombuffer(data, np.uint8, expected)
    view = np.lib.stride_tricks.as_strided(buffer, (rows, row_bytes), (step, 1), writeable=False)
    pixels = np.ascontiguousarray(view).view(stored.dtype).reshape(rows, width, stored.channels)
    if stored.dtype is np.uint16:
        pixels = _to_8_bit(pixels.byteswap() if is_bigendian != (sys.byteorder == "big") else pixels)
    return pixels if stored.code is None else cv2.cvtColor(pixels, stored.code)


def bgr_from_message(message: Any) -> np.ndarray:
    """:func:`bgr_from_raw` of a sensor_msgs/Image, whichever library read it."""
    return bgr_from_raw(
        message.data,
        message.height,
        message.width,
        message.step,
        message.encoding,
        bool(message.is_bigendian),
    )


def bgr_from_compressed(data: Any, image_format: str = "", most_pixels: int = MOST_PIXELS) -> np.ndarray:
    """Pixels (H, W, 3) uint8 BGR of a compressed image; its EXIF orientation is ignored, as image_transport does.

    Args:
        image_format: that of sensor_msgs/CompressedImage, such as 'bgr8; jpeg compressed bgr8'. Its first word is
            the encoding of the image before compression: a Bayer mosaic is turned into colours.
        most_pixels: larger images are refused before they are decoded.

    Raises:
        ValueError: the data cannot be decoded, are too large, or hold depth.
    """
    shown = image_format[:100]
    if "compresseddepth" in image_format.lower():
        raise ValueError(f"the image of format {shown!r} holds depth, not colours")
    content = np.frombuffer(data, np.uint8)
    try:
        check_image_size(content.data, most_pixels)
        pixels = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    except (ValueError, cv2.error) as error:
        raise ValueError(f"the {shown!r} image of {len(content)} bytes cannot be decoded: {error}") from error
    if pixels is None:
        raise ValueError(f"the {shown!r} image of {len(content)} bytes cannot be decoded")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"the {shown!r} image has pixels of {pixels.dtype}, expected 8 or 16 bits")
    if pixels.dtype == np.uint16:
        pixels = _to_8_bit(pixels)
    return _colours(pixels, image_format)


def _colours(pixels: np.ndarray, image_format: str) -> np.ndarray:
    before, _, after = (part.strip().lower() for part in image_format.partition(";"))
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if channels == 1:
        mosaic = re.match(r"bayer_(\w{4})", before)
        return cv2.cvtColor(
            pixels, _BAYER.get(mosaic[1], cv2.COLOR_GRAY2BGR) if mosaic else cv2.COLOR_GRAY2BGR
        )
    if channels == 4:
        return cv2.cvtColor(pixels, cv2.COLOR_BGRA2BGR)
    if "compressed rgb8" in after:  # image_transport's word for a file whose red and blue are exchanged
        return cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return pixels


def _unsupported(encoding: str) -> str:
    shown = encoding[:60]
    if _MEASUREMENTS.match(encoding):
        return f"images of encoding {shown!r} hold measurements such as depth, not colours"
    return f"the encoding {shown!r} is not supported; supported are {', '.join(_ENCODINGS)}"


def _to_8_bit(pixels: np.ndarray) -> np.ndarray:
    """Scale uint16 pixels (H, W[, C]) by the power of two that nearly all of them need."""
    sample = pixels[::3, ::3]  # an odd step meets all colours of a Bayer pattern
    bits = max(8, int(np.quantile(sample, _SCALED_SHARE)).bit_length())
    return np.minimum(pixels >> (bits - 8), 255).astype(np.uint8)
