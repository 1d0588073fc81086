"""Small MP4 files with metadata that OpenCV cannot write: a rotation, uneven times, another codec's name."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

_PARENTS = ("moov", "trak", "mdia", "minf", "stbl")
_TURNS = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


def write_mp4(path: Path, images: Sequence[np.ndarray], rate_hz: float = 25.0) -> Path:
    height, width = images[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), rate_hz, (width, height))
    assert writer.isOpened()
    for image in images:
        writer.write(image)
    writer.release()
    return path


def set_rotation(path: Path, clockwise_deg: int) -> None:
    """Let players turn the video clockwise by 90, 180 or 270 degrees."""
    data = bytearray(path.read_bytes())
    start, _ = _find(data, "tkhd")[-1]
    a, b, c, d = _TURNS[clockwise_deg]
    one = 1 << 16
    struct.pack_into(">9i", data, start + 48, a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def set_intervals(path: Path, intervals_s: Sequence[float]) -> None:
    """Set the time from each image to the next; the file's index lies at its end, so that it may grow."""
    data = path.read_bytes()
    timescale_at, _ = _find(data, "mdhd")[-1]
    (timescale,) = struct.unpack_from(">I", data, timescale_at + 20)
    entries = b"".join(struct.pack(">II", 1, round(interval * timescale)) for interval in intervals_s)
    body = struct.pack(">II", 0, len(intervals_s)) + entries
    start, end = _find(data, "stts")[-1]
    box = struct.pack(">I4s", len(body) + 8, b"stts") + body
    changed = bytearray(data[:start] + box + data[end:])
    for name in _PARENTS:
        at, _ = next(place for place in _find(data, name) if place[0] < start < place[1])
        (size,) = struct.unpack_from(">I", changed, at)
        struct.pack_into(">I", changed, at, size + len(box) - (end - start))
    at, _ = _find(changed, "mdhd")[-1]
    struct.pack_into(">I", changed, at + 24, round(sum(intervals_s) * timescale))
    # The edit list holds the old duration; without it all is shown.
    path.write_bytes(bytes(changed).replace(b"edts", b"free"))


def set_codec(path: Path, fourcc: bytes) -> None:
    """Name another codec; the images are not of it, so that nothing can decode them."""
    data = path.read_bytes()
    start, end = _find(data, "stsd")[-1]
    path.write_bytes(
        data[:start] + data[start:end].replace(b"mp4v", fourcc).replace(b"esds", b"free") + data[end:]
    )


def _find(data: bytes | bytearray, name: str) -> list[tuple[int, int]]:
    """Start and end of each box of this name."""
    found = []

    def walk(at: int, end: int) -> None:
        while at + 8 <= end:
            size, kind = struct.unpack_from(">I4s", data, at)
            size = size or end - at
            if kind.decode("latin1") == name:
                found.append((at, at + size))
            if kind.decode("latin1") in _PARENTS:
                walk(at + 8, at + size)
            at += max(size, 8)

    walk(0, len(data))
    return found
