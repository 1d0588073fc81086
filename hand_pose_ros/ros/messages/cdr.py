"""Writes the serialised form of large messages (CDR, little endian), whose numbers come from NumPy arrays.

rclpy publishes serialised bytes as they are. A message with thousands of points takes tens of milliseconds as
Python objects, and few as bytes. Each message that is written here is held bit for bit against rclpy's own
serialisation by a test, except for padding, which rclpy does not initialise.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import numpy as np
from visualization_msgs.msg import Marker

_HEADER: Final = b"\x00\x01\x00\x00"  # plain CDR, little endian; alignment counts from behind it
_KIND = struct.Struct("<iii")
_POSE_AND_SCALE = struct.Struct("<10d")
_COLOUR_AND_LIFETIME = struct.Struct("<4fiIB")
_STAMP = struct.Struct("<iI")
_COUNT = struct.Struct("<I")
_FLAG = struct.Struct("<?")


class CdrWriter:
    """The bytes of a message, field by field."""

    def __init__(self, padding: int = 0) -> None:
        """``padding``: the byte that fills gaps."""
        self._bytes = bytearray(_HEADER)
        self._padding = bytes([padding])

    def align(self, size: int) -> None:
        """Fill up to the next multiple of ``size`` bytes."""
        self._bytes += self._padding * (-(len(self._bytes) - len(_HEADER)) % size)

    def pack(self, layout: struct.Struct, *values: object, alignment: int = 4) -> None:
        """Write numbers that are aligned to ``alignment`` bytes."""
        self.align(alignment)
        self._bytes += layout.pack(*values)

    def count(self, value: int) -> None:
        """Write the length of a sequence."""
        self.pack(_COUNT, value)

    def text(self, value: str) -> None:
        """Write a string."""
        encoded = value.encode() + b"\0"
        self.count(len(encoded))
        self._bytes += encoded

    def array(self, values: np.ndarray, alignment: int) -> None:
        """Write the numbers of an array; nothing, not even padding, if it is empty."""
        if values.size:
            self.align(alignment)
            self._bytes += values.tobytes()

    def finish(self) -> bytes:
        """The serialised message."""
        return bytes(self._bytes)


def marker_array(markers: Sequence[Marker], corners: dict[int, np.ndarray], padding: int = 0) -> bytes:
    """A serialised visualization_msgs/MarkerArray.

    Args:
        markers: their ``points`` are written, unless ``corners`` replaces them.
        corners: index of a marker -> its points (n, 3).
        padding: the byte that fills gaps.
    """
    writer = CdrWriter(padding)
    writer.count(len(markers))
    for index, marker in enumerate(markers):
        points = corners.get(index)
        if points is None:
            points = np.array([(one.x, one.y, one.z) for one in marker.points], np.float64)
        _write_marker(writer, marker, np.ascontiguousarray(points, "<f8"))
    return writer.finish()


def _write_marker(writer: CdrWriter, marker: Marker, points: np.ndarray) -> None:
    stamp, pose, scale, colour = marker.header.stamp, marker.pose, marker.scale, marker.color
    writer.pack(_STAMP, stamp.sec, stamp.nanosec)
    writer.text(marker.header.frame_id)
    writer.text(marker.ns)
    writer.pack(_KIND, marker.id, marker.type, marker.action)
    at, turn = pose.position, pose.orientation
    numbers = (at.x, at.y, at.z, turn.x, turn.y, turn.z, turn.w, scale.x, scale.y, scale.z)
    writer.pack(_POSE_AND_SCALE, *numbers, alignment=8)
    lifetime = marker.lifetime
    writer.pack(
        _COLOUR_AND_LIFETIME,
        *(colour.r, colour.g, colour.b, colour.a),
        *(lifetime.sec, lifetime.nanosec, marker.frame_locked),
    )
    writer.count(len(points))
    writer.array(points, 8)
    writer.count(len(marker.colors))
    writer.array(np.array([(one.r, one.g, one.b, one.a) for one in marker.colors], "<f4"), 4)
    writer.text("")  # texture_resource
    writer.pack(_STAMP, 0, 0)
    writer.text("")  # texture.header.frame_id
    writer.text("")  # texture.format
    writer.count(0)  # texture.data
    writer.count(0)  # uv_coordinates
    writer.text("")  # text
    writer.text("")  # mesh_resource
    writer.text("")  # mesh_file.filename
    writer.count(0)  # mesh_file.data
    writer.pack(_FLAG, False, alignment=1)  # mesh_use_embedded_materials
