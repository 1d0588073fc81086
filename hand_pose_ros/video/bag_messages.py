"""The messages of a recording (rosbag2 as sqlite3 or MCAP, or a ROS 1 bag), read by the rosbags library."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_typestore

from hand_pose_ros.video.bag_topics import IMAGE, full_type
from hand_pose_ros.video.encoded_video import EncodedVideo, is_encoded_video
from hand_pose_ros.video.image_data import bgr_from_compressed, bgr_from_message
from hand_pose_ros.video.sources import SourceError

_READ_ERRORS: Final = (ValueError, KeyError, IndexError, TypeError, AssertionError, UnicodeDecodeError)


class BagMessages:
    """An open recording. Its messages may come from anywhere: what they hold is read, or refused.

    Args:
        paths: of a bag's folder, or of its files.

    Raises:
        ValueError: the recording cannot be read.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.name = ", ".join(map(str, paths))
        # Recordings of Iron and later hold their message definitions; older ones get today's.
        self._types = get_typestore(Stores.ROS2_JAZZY)
        try:
            self._reader = AnyReader(list(paths), default_typestore=self._types)
            self._reader.open()
        except (AnyReaderError, OSError, *_READ_ERRORS) as error:
            raise ValueError(f"{self.name} is not a recording that can be read: {_reason(error)}") from error
        except Exception as error:  # sqlite3 and the decompressors raise their own
            raise ValueError(f"{self.name} is not a recording that can be read: {_reason(error)}") from error

    @property
    def connections(self) -> list[Connection]:
        """Topics with their types and numbers of messages."""
        return self._reader.connections

    def messages(
        self, connections: Sequence[Connection], start: int | None = None
    ) -> Generator[tuple[Connection, int, bytes], None, None]:
        """Yield connection, time of the recording (ns) and serialised message, in order of that time.

        Args:
            connections: at least one. start: first time, ns.

        Raises:
            SourceError: the recording is damaged.
        """
        try:
            for connection, time_ns, raw in self._reader.messages(connections, start=start):
                yield connection, int(time_ns), bytes(raw)
        except GeneratorExit:
            raise
        except Exception as error:  # sqlite3, the decompressors and rosbags have no error in common
            raise SourceError(f"{self.name}: the recording is damaged: {_reason(error)}") from error

    def read(self, raw: bytes | memoryview, connection: Connection) -> Any:
        """Deserialise a message.

        Raises:
            ValueError: it is malformed, or its type is not known.
        """
        try:
            if not self._reader.is2:
                return self._reader.deserialize(bytes(raw), connection.msgtype)
            if connection.msgtype in self._reader.typestore.fielddefs:
                return self._reader.typestore.deserialize_cdr(raw, connection.msgtype)
            return self._types.deserialize_cdr(raw, full_type(connection.msgtype))
        except _READ_ERRORS as error:
            raise ValueError(f"{type(error).__name__}: {str(error)[:200]}") from error
        except Exception as error:  # struct.error, and the library's own, which have no base in common
            raise ValueError(f"{type(error).__name__}: {str(error)[:200]}") from error

    def close(self) -> None:
        """Close the recording."""
        self._reader.close()


def stamp_ns(message: Any) -> int:
    """The time of a message's header, nanoseconds; 0 if it has none."""
    stamp = getattr(getattr(message, "header", None), "stamp", None) or getattr(message, "timestamp", None)
    return 0 if stamp is None else stamp.sec * 1_000_000_000 + stamp.nanosec


def images_of(
    message: Any, connection: Connection, video: EncodedVideo, time_s: float
) -> list[tuple[float, np.ndarray]]:
    """Times and pixels (H, W, 3) uint8 BGR of an image message, or of those that a video packet completes.

    Raises:
        ValueError: the image cannot be decoded.
    """
    kind = full_type(connection.msgtype)
    if is_encoded_video(kind):
        return video.decode(message, time_s)
    if kind == IMAGE:
        return [(time_s, bgr_from_message(message))]
    return [(time_s, bgr_from_compressed(message.data, message.format))]


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
