"""The module reads the size of a compressed image from its header, before a decoder allocates its pixels.

It knows every format that OpenCV decodes, and refuses what it does not know: a decoder gets only images whose
size was told. The rules are stricter than the decoders': where they would read on, the image is refused.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Final

from hand_pose_ros.files.image_containers import exr_size, jpeg2000_size, tiff_size

MOST_PIXELS: Final = 64_000_000
"""Default limit: four times the pixels of the largest common camera sensors for video."""
_HEADER_BYTES: Final = 65536
_MOST_JPEG_SEGMENTS: Final = 4096


def check_image_size(data: bytes | bytearray | memoryview, most_pixels: int = MOST_PIXELS) -> tuple[int, int]:
    """Return (width, height) in pixels, as stored, before any rotation that the metadata asks for.

    Args:
        data: the content of a JPEG, PNG, WebP, BMP, TIFF, GIF, JPEG 2000, PNM, PAM, PFM, Radiance HDR, OpenEXR or
            Sun raster file, from its first byte.
        most_pixels: largest width times height.

    Raises:
        ValueError: the image is larger, its header is damaged, or its format is another.
    """
    view = memoryview(data).cast("B")
    name, reader = _format(view)
    try:
        width, height = reader(view)
    except (IndexError, struct.error) as error:
        raise ValueError(f"the header of the {name} image is truncated") from error
    except ValueError as error:
        raise ValueError(f"the header of the {name} image is damaged: {error}") from error
    if width <= 0 or height <= 0:
        raise ValueError(f"the header of the {name} image is damaged: it has {width}x{height} pixels")
    if width * height > most_pixels:
        raise ValueError(f"the {name} image has {width}x{height} pixels, at most {most_pixels} are allowed")
    return width, height


Reader = Callable[[memoryview], tuple[int, int]]


def _format(data: memoryview) -> tuple[str, Reader]:
    """The name and the reader of the format that the first bytes tell."""
    start = bytes(data[:16])
    for prefix, name, reader in _FORMATS:
        if start.startswith(prefix):
            return name, reader
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WebP", _webp
    if not start:
        raise ValueError("the image is empty")
    raise ValueError(f"the format of the image is not known: it begins with {start[:8].hex(' ')}")


def _jpeg(data: memoryview) -> tuple[int, int]:
    """The first start of frame, found as libjpeg finds it: bytes between the segments are skipped."""
    offset = 2
    for _ in range(_MOST_JPEG_SEGMENTS):
        ahead = bytes(data[offset : offset + _HEADER_BYTES])
        marker = re.search(rb"\xff+([^\x00\xff])", ahead, re.DOTALL)
        if marker is None:
            raise IndexError if len(ahead) < _HEADER_BYTES else ValueError("it holds no marker")
        kind, offset = marker[1][0], offset + marker.end()
        if kind == 0x01 or 0xD0 <= kind <= 0xD7:  # no content
            continue
        if kind in (0xD8, 0xD9, 0xDA):
            raise ValueError("the image begins before its size is told")
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, offset + 3)
            return width, height
        (length,) = struct.unpack_from(">H", data, offset)
        if length < 2:
            raise ValueError("a segment has no length")
        offset += length
    raise ValueError(f"it has more than {_MOST_JPEG_SEGMENTS} segments")


def _png(data: memoryview) -> tuple[int, int]:
    if bytes(data[12:16]) != b"IHDR":
        raise ValueError("its first chunk is not IHDR")
    return struct.unpack_from(">II", data, 16)


def _webp(data: memoryview) -> tuple[int, int]:
    chunk = bytes(data[12:16])
    if chunk == b"VP8X":
        width, height = (int.from_bytes(data[place : place + 3], "little") + 1 for place in (24, 27))
        if len(data) < 30:
            raise IndexError
        return width, height
    if chunk == b"VP8 ":
        if bytes(data[23:26]) != b"\x9d\x01\x2a":
            raise ValueError("its frame has no start code")
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if chunk == b"VP8L":
        if data[20] != 0x2F:
            raise ValueError("its lossless frame has no signature")
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    raise ValueError("its first chunk is no image")


def _bmp(data: memoryview) -> tuple[int, int]:
    (header,) = struct.unpack_from("<I", data, 14)
    if header == 12:
        return struct.unpack_from("<HH", data, 18)
    if header < 36:
        raise ValueError("its header has an unknown length")
    width, height = struct.unpack_from("<ii", data, 18)
    return width, abs(height)  # negative: the first row is the top


def _gif(data: memoryview) -> tuple[int, int]:
    return struct.unpack_from("<HH", data, 6)


def _sun_raster(data: memoryview) -> tuple[int, int]:
    return struct.unpack_from(">II", data, 4)


_SPACE = rb"(?:\s|#[^\r\n]*[\r\n])"


def _pnm(data: memoryview) -> tuple[int, int]:
    header = bytes(data[:_HEADER_BYTES])
    numbers = re.match(rb"P[1-6]\s" + _SPACE + rb"*(\d{1,10})" + _SPACE + rb"+(\d{1,10})\s", header)
    return _matched(numbers)


def _pfm(data: memoryview) -> tuple[int, int]:
    return _matched(re.match(rb"P[Ff]\s(\d{1,10})\s(\d{1,10})\s", bytes(data[:64])))


def _pam(data: memoryview) -> tuple[int, int]:
    header, end, _ = bytes(data[:_HEADER_BYTES]).partition(b"ENDHDR")
    words = re.sub(rb"#[^\r\n]*", b"", header).split()[1:]
    if not end or len(words) % 2:
        raise ValueError("its fields are not complete")
    values = dict(zip(words[::2], words[1::2], strict=True))
    known = {b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL", b"TUPLTYPE"}
    if (
        len(values) < len(words) // 2
        or not known.issuperset(values)
        or not known - {b"TUPLTYPE"} <= set(values)
    ):
        raise ValueError("a field is unknown, missing or there twice")
    if not re.fullmatch(rb"[1-4]", values[b"DEPTH"]):
        raise ValueError("it has more than four channels")
    return _matched(re.fullmatch(rb"(\d{1,10}) (\d{1,10})", values[b"WIDTH"] + b" " + values[b"HEIGHT"]))


def _radiance(data: memoryview) -> tuple[int, int]:
    _, blank, rest = bytes(data[:_HEADER_BYTES]).partition(b"\n\n")
    if not blank:
        raise ValueError("no empty line ends its header")
    size = re.match(rb"-Y +(\d{1,10}) +\+X +(\d{1,10})\s", rest)
    height, width = _matched(size)
    return width, height


def _matched(numbers: re.Match[bytes] | None) -> tuple[int, int]:
    if numbers is None:
        raise ValueError("its size is missing")
    return int(numbers[1]), int(numbers[2])


_FORMATS: Final[tuple[tuple[bytes, str, Reader], ...]] = (
    (b"\xff\xd8\xff", "JPEG", _jpeg),
    (b"\x89PNG\r\n\x1a\n", "PNG", _png),
    (b"BM", "BMP", _bmp),
    *((magic, "TIFF", tiff_size) for magic in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    (b"GIF8", "GIF", _gif),
    *((magic, "JPEG 2000", jpeg2000_size) for magic in (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")),
    *((b"P%d" % kind, "PNM", _pnm) for kind in range(1, 7)),
    (b"P7\n", "PAM", _pam),
    *((magic, "PFM", _pfm) for magic in (b"PF", b"Pf")),
    *((magic, "HDR", _radiance) for magic in (b"#?RGBE", b"#?RADIANCE")),
    (b"\x76\x2f\x31\x01", "EXR", exr_size),
    (b"\x59\xa6\x6a\x95", "Sun raster", _sun_raster),
)
"""First bytes, name and reader of each format; WebP's name comes after a length."""
