"""The module writes MCAP bags without ROS 2; Foxglove, RViz and `ros2 bag` open them."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import cv2
from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from hand_pose_ros.video.bag_topics import COMPRESSED_IMAGE, IMAGE
from hand_pose_ros.video.image_data import bgr_from_message

_TYPES: Final = get_typestore(Stores.ROS2_JAZZY)
_JPEG_QUALITY: Final = 92
_BAG_VERSION: Final = 8  # what Humble's and Jazzy's `ros2 bag` read


class RecordingWriter:
    """Writes serialised messages into a bag; a context manager. Not thread-safe.

    Images become JPEG on ``<topic>/compressed``, where image_transport and RViz look for them. A topic is in the
    bag once it has a message.

    Args:
        folder: the bag.
        replace: whether an existing bag is replaced.
        custom_data: texts for the bag's metadata.yaml, by key.

    Raises:
        ValueError: the folder exists, and is not to be replaced or holds something else than a bag.
    """

    def __init__(
        self, folder: Path, replace: bool = True, custom_data: Mapping[str, str] | None = None
    ) -> None:
        if replace:
            _remove_old(folder)
        if folder.exists():
            raise ValueError(f"{folder} exists already")
        self._writer = Writer(folder, version=_BAG_VERSION, storage_plugin=StoragePlugin.MCAP)
        self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        for key, value in (custom_data or {}).items():
            self._writer.set_custom_data(key, value)
        self._connections: dict[str, Connection] = {}
        self._last_ns = 0

    def __enter__(self) -> RecordingWriter:
        self._writer.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._writer.close()  # after an error too, so that the bag can be opened
        except OSError:  # such as a full disk: without its index the bag cannot be read
            self._writer.abort()
            raise

    def write(self, topic: str, msgtype: str, serialised: bytes, received_ns: int) -> None:
        """Add one message.

        Args:
            serialised: from the middleware: CDR with its header.
            received_ns: time of the system's clock; the bag's time never falls.

        Raises:
            ValueError: an image that cannot be compressed, or a type whose definition is not known.
            OSError: such as a full disk.
        """
        if msgtype == IMAGE:
            topic, msgtype, serialised = f"{topic}/compressed", COMPRESSED_IMAGE, _compressed(serialised)
        if topic not in self._connections:
            if msgtype not in _TYPES.fielddefs:
                raise ValueError(
                    f"messages of {topic} cannot be recorded: {msgtype} is no message of ROS 2 itself"
                )
            self._connections[topic] = self._writer.add_connection(topic, msgtype, typestore=_TYPES)
        self._last_ns = max(received_ns, self._last_ns)
        self._writer.write(self._connections[topic], self._last_ns, serialised)


def header_stamp_ns(serialised: bytes) -> int:
    """The stamp in a serialised message that begins with a header, nanoseconds."""
    order = "<" if serialised[1] else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", serialised, 4)
    return seconds * 1_000_000_000 + nanoseconds


def _compressed(serialised: bytes) -> bytes:
    message: Any = _TYPES.deserialize_cdr(serialised, IMAGE)
    image = bgr_from_message(message)
    good, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not good:
        raise ValueError(f"an image of {message.width}x{message.height} cannot be compressed")
    compressed = _TYPES.types[COMPRESSED_IMAGE](
        message.header, f"{message.encoding}; jpeg compressed bgr8", jpeg
    )
    return bytes(_TYPES.serialize_cdr(compressed, COMPRESSED_IMAGE))


def _remove_old(folder: Path) -> None:
    if not folder.exists():
        return
    ours = {"metadata.yaml", "metadata.yaml.tmp", f"{folder.name}.mcap"}
    if not folder.is_dir() or {path.name for path in folder.iterdir()} - ours:
        raise ValueError(f"{folder} holds other things than a recording: move it away")
    shutil.rmtree(folder)
