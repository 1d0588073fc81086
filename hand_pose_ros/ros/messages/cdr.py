"""Writes the serialised form of large messages (CDR, little endian), whose numbers come from NumPy arrays.

rclpy publishes serialised bytes as they are. A message with thousands of points takes tens of milliseconds as
Python objects, and about one as bytes. Each message that is written here is held bit for bit against rclpy's
own serialisation by a test, except for padding, which rclpy does not initialise.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import numpy as np
from std_msgs.msg import Header

from hand_pose_ros.ros.messages.shown_marker import ShownMarker, duration

_HEADER: Final = b"\x00\x01\x00\x00"  # plain CDR, little endian; alignment counts from behind it
_KIND = struct.Struct("<iii")
_POSE_AND_SCALE = struct.Struct("<10d")
_COLOUR_AND_LIFETIME = struct.Struct("<4fiIB")
STAMP = struct.Struct("<iI")
_COUNT = struct.Struct("<I")
_NEVER_LOCKED: Final = 0  # frame_locked


class CdrWriter:
    """The bytes of a message, field by field."""

    def __init__(self, padding: int = 0) -> None:
        """``padding``: the byte that fills gaps."""
        self._bytes = bytearray(_HEADER)
        self._padding = bytes([padding])

    def align(self, size: int) -> None:
        """Fill up to the next multiple of ``size`` bytes."""
        missing = -(len(self._bytes) - len(_HEADER)) % size
        if missing:
            self._bytes += self._padding * missing

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

    def raw(self, written: bytes) -> None:
        """Write bytes that begin at a multiple of 4, and hold their own padding."""
        self.align(4)
        self._bytes += written

    def finish(self) -> bytes:
        """The serialised message."""
        return bytes(self._bytes)


def marker_array(
    markers: Sequence[ShownMarker], header: Header, lifetime_s: float, padding: int = 0
) -> bytes:
    """A serialised visualization_msgs/MarkerArray.

    Args:
        header, lifetime_s: of every marker.
        padding: the byte that fills gaps.
    """
    writer = CdrWriter(padding)
    writer.count(len(markers))
    lifetime = duration(lifetime_s)
    start, no_texture, no_mesh = _start(header, padding), _no_texture(padding), _no_mesh(padding)
    for marker in markers:
        writer.raw(start)
        writer.text(marker.namespace)
        writer.pack(_KIND, marker.number, marker.kind, marker.action)
        numbers = (*marker.position, *marker.orientation, *marker.scale)
        writer.pack(_POSE_AND_SCALE, *numbers, alignment=8)
        writer.pack(_COLOUR_AND_LIFETIME, *marker.rgba, lifetime.sec, lifetime.nanosec, _NEVER_LOCKED)
        writer.count(len(marker.points))
        writer.array(np.ascontiguousarray(marker.points, "<f8"), 8)
        writer.count(len(marker.colours))
        writer.array(np.ascontiguousarray(marker.colours, "<f4"), 4)
        writer.raw(no_texture)
        writer.text(marker.text)
        writer.raw(no_mesh)
    return writer.finish()


def _start(header: Header, padding: int) -> bytes:
    """The first fields of a marker."""
    writer = CdrWriter(padding)
    writer.pack(STAMP, header.stamp.sec, header.stamp.nanosec)
    writer.text(header.frame_id)
    return writer.finish()[len(_HEADER) :]


def _no_texture(padding: int) -> bytes:
    """The fields between the colours and the text."""
    writer = CdrWriter(padding)
    writer.text("")  # texture_resource
    writer.pack(STAMP, 0, 0)
    writer.text("")  # texture.header.frame_id
    writer.text("")  # texture.format
    writer.count(0)  # texture.data
    writer.count(0)  # uv_coordinates
    return writer.finish()[len(_HEADER) :]


def _no_mesh(padding: int) -> bytes:
    """The fields behind the text."""
    writer = CdrWriter(padding)
    writer.text("")  # mesh_resource
    writer.text("")  # mesh_file.filename
    writer.count(0)  # mesh_file.data
    return writer.finish()[len(_HEADER) :] + b"\0"  # mesh_use_embedded_materials
