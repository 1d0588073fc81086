"""The size of images whose header is a tree or a list of fields: TIFF, JPEG 2000 and OpenEXR.

Each reader takes the content of a file and returns (width, height) in pixels; ``image_limits`` checks both.
All raise ValueError for a damaged header, and IndexError or struct.error for a truncated one.
"""

from __future__ import annotations

import struct
from typing import Final

_MOST_FIELDS: Final = 4096
_MOST_TILES: Final = 4096
_MOST_CHANNELS: Final = 4
_MOST_BUFFER_PIXELS: Final = 1 << 24
_NO_LIMIT: Final = 2**32 - 1
_TIFF_TYPES: Final = {1: "B", 3: "H", 4: "I", 16: "Q"}
_TIFF_FIELDS: Final = {
    256: "width",
    257: "height",
    277: "channels",
    278: "rows per strip",
    322: "tile width",
    323: "tile height",
}


def tiff_size(data: memoryview) -> tuple[int, int]:
    """The size of the first image of a TIFF or BigTIFF file."""
    order = "<" if bytes(data[:2]) == b"II" else ">"
    is_big = data[2 if order == "<" else 3] == 43
    count_code, offset_code, entry_bytes = ("Q", "Q", 20) if is_big else ("H", "I", 12)
    (offset,) = struct.unpack_from(order + offset_code, data, 8 if is_big else 4)
    if offset > len(data):
        raise IndexError("its first folder is missing")
    (count,) = struct.unpack_from(order + count_code, data, offset)
    if count > _MOST_FIELDS:
        raise ValueError(f"it has {count} fields")
    offset += struct.calcsize(order + count_code)
    values: dict[str, int] = {}
    for place in range(offset, offset + count * entry_bytes, entry_bytes):
        tag, kind, number = struct.unpack_from(order + "HH" + offset_code, data, place)
        name = _TIFF_FIELDS.get(tag)
        if name is None:
            continue
        if kind not in _TIFF_TYPES or number != 1 or name in values or (kind == 16 and not is_big):
            raise ValueError(f"its field {name!r} has another type, several values, or is there twice")
        (values[name],) = struct.unpack_from(
            order + _TIFF_TYPES[kind], data, place + entry_bytes - (8 if is_big else 4)
        )
    if values.get("channels", 1) > _MOST_CHANNELS:
        raise ValueError(f"it has {values['channels']} channels")
    width, height = values.get("width", 0), values.get("height", 0)
    rows = values.get("rows per strip", _NO_LIMIT)
    # The decoder allocates whole tiles and strips, even where the image is smaller.
    buffers = (
        (width, 0 if rows == _NO_LIMIT else rows),
        (values.get("tile width", 0), values.get("tile height", 0)),
    )
    for wide, tall in buffers:
        if tall > height and wide * tall > _MOST_BUFFER_PIXELS:
            raise ValueError(f"it has a tile or strip of {wide}x{tall} pixels")
    return width, height


def jpeg2000_size(data: memoryview) -> tuple[int, int]:
    """The size that the codestream tells; the boxes around it may tell another, which decoders ignore."""
    offset = 0 if data[0] == 0xFF else _codestream(data)
    start, size, _, _, right, bottom, left, top, tile_width, tile_height, _, _, channels = struct.unpack_from(
        ">HHHHIIIIIIIIH", data, offset
    )
    if start != 0xFF4F or size != 0xFF51:
        raise ValueError("its codestream does not begin with the size")
    if not 0 < channels <= _MOST_CHANNELS:
        raise ValueError(f"it has {channels} channels")
    width, height = right - left, bottom - top
    if min(tile_width, tile_height) < 1 or -(-right // tile_width) * -(-bottom // tile_height) > _MOST_TILES:
        raise ValueError(f"it has more than {_MOST_TILES} tiles")
    return width, height


def _codestream(data: memoryview) -> int:
    """The offset of the codestream in a JP2 file."""
    offset = 0
    for _ in range(_MOST_FIELDS):
        length, kind = struct.unpack_from(">I4s", data, offset)
        header = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, offset + 8)
            header = 16
        if kind == b"jp2c":
            return offset + header
        if length < header:
            raise ValueError("a box has no length")
        offset += length
        if offset > len(data):
            raise IndexError("its codestream is missing")
    raise ValueError(f"it has more than {_MOST_FIELDS} boxes")


def exr_size(data: memoryview) -> tuple[int, int]:
    """The size of the data window of a file with one part."""
    (version,) = struct.unpack_from("<I", data, 4)
    if version & 0x1000:
        raise ValueError("it has several parts")
    found: dict[bytes, bytes] = {}
    offset = 8
    for _ in range(_MOST_FIELDS):
        name, offset = _text(data, offset)
        if not name:
            break
        _, offset = _text(data, offset)
        (length,) = struct.unpack_from("<I", data, offset)
        if name in found:
            raise ValueError(f"its attribute {name!r} is there twice")
        found[name] = bytes(data[offset + 4 : offset + 4 + min(length, 16)])
        offset += 4 + length
    else:
        raise ValueError(f"it has more than {_MOST_FIELDS} attributes")
    left, top, right, bottom = struct.unpack("<iiii", found.get(b"dataWindow", b""))
    width, height = right - left + 1, bottom - top + 1
    tile_width, tile_height = struct.unpack("<II", found.get(b"tiles", bytes(8))[:8])
    if tile_width * tile_height > _MOST_BUFFER_PIXELS:
        raise ValueError(f"it has tiles of {tile_width}x{tile_height} pixels")
    return width, height


def _text(data: memoryview, offset: int) -> tuple[bytes, int]:
    """A text that ends with a zero byte, and the offset behind it."""
    text, end, _ = bytes(data[offset : offset + 256]).partition(b"\0")
    if not end:
        raise (
            IndexError("a text does not end")
            if offset + 256 > len(data)
            else ValueError("a text does not end")
        )
    return text, offset + len(text) + 1
