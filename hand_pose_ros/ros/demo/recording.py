"""The module writes and reads the demo's MCAP bag without ROS 2; Foxglove, RViz and `ros2 bag` open it."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from threading import Thread
from types import TracebackType
from typing import Any, Final

import cv2
import numpy as np
from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from hand_pose_ros import hand
from hand_pose_ros.video.image_data import bgr_from_message

IMAGE: Final = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE: Final = "sensor_msgs/msg/CompressedImage"
_TYPES: Final = get_typestore(Stores.ROS2_JAZZY)
_JPEG_QUALITY: Final = 92
_MOST_WAITING: Final = 200  # messages; a third of them images of a megabyte
_BAG_VERSION: Final = 8  # what Humble's and Jazzy's `ros2 bag` read


class RecordingWriter:
    """Writes serialised messages into a bag; a context manager. Not thread-safe.

    Images become JPEG on ``<topic>/compressed``, where image_transport and RViz look for them. A topic is in the
    bag once it has a message.

    Args:
        folder: the bag; an existing bag is replaced.

    Raises:
        ValueError: the folder exists and holds something else.
    """

    def __init__(self, folder: Path) -> None:
        _remove_old(folder)
        self._writer = Writer(folder, version=_BAG_VERSION, storage_plugin=StoragePlugin.MCAP)
        self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._connections: dict[str, Connection] = {}
        self._last_ns = 0

    def __enter__(self) -> RecordingWriter:
        self._writer.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()  # after an error too, so that the bag can be opened

    def write(self, topic: str, msgtype: str, serialised: bytes, received_ns: int) -> None:
        """Add one message.

        Args:
            serialised: from the middleware: CDR with its header.
            received_ns: time of the system's clock; the bag's time never falls.
        """
        if msgtype == IMAGE:
            topic, msgtype, serialised = f"{topic}/compressed", COMPRESSED_IMAGE, _compressed(serialised)
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(topic, msgtype, typestore=_TYPES)
        self._last_ns = max(received_ns, self._last_ns)
        self._writer.write(self._connections[topic], self._last_ns, serialised)


class BackgroundWriter:
    """A :class:`RecordingWriter` with a thread of its own, so that who receives a message does not wait for JPEG.

    A context manager. Nothing is lost: :meth:`write` waits while too many messages wait, and leaving the context
    writes them all.
    """

    def __init__(self, folder: Path) -> None:
        """See :class:`RecordingWriter`."""
        self._writer = RecordingWriter(folder)
        self._messages: Queue[tuple[str, str, bytes, int] | None] = Queue(_MOST_WAITING)
        self._thread = Thread(target=self._run, name="recording", daemon=True)
        self.failure: Exception | None = None
        """The first error, such as a full disk; what comes after it is not written."""

    def __enter__(self) -> BackgroundWriter:
        self._writer.__enter__()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._messages.put(None)
        self._thread.join()
        self._writer.__exit__(kind, error, trace)

    def write(self, topic: str, msgtype: str, serialised: bytes, received_ns: int) -> None:
        """See :meth:`RecordingWriter.write`; errors are in :attr:`failure`."""
        self._messages.put((topic, msgtype, serialised, received_ns))

    def _run(self) -> None:
        while (message := self._messages.get()) is not None:
            if self.failure is not None:
                continue
            try:
                self._writer.write(*message)
            except Exception as error:  # whatever it is, who writes must not wait for ever
                self.failure = error


def header_stamp_ns(serialised: bytes) -> int:
    """The stamp in a serialised message that begins with a header, nanoseconds."""
    order = "<" if serialised[1] else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", serialised, 4)
    return seconds * 1_000_000_000 + nanoseconds


@dataclass(frozen=True)
class Recording:
    """The part of a recording that the demo's summary needs.

    frame_stamps_ns: of every image, in order. processed_stamps_ns: of those with a result. shown_stamps_ns: of
    those with an overlay.
    joints_m: side -> stamp -> (21, 3), metres in the camera's optical frame.
    """

    folder: Path
    frame_stamps_ns: list[int]
    processed_stamps_ns: list[int]
    shown_stamps_ns: list[int]
    joints_m: dict[str, dict[int, np.ndarray]]
    namespace: str

    def overlays(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield stamp and overlay (H, W, 3) uint8 BGR of every processed image."""
        topic = f"{self.namespace}/image_overlay/compressed"
        shown = set(self.shown_stamps_ns)
        with Reader(self.folder) as reader:
            for _, message in _messages(reader, [topic]):
                if _stamp_ns(message) in shown:
                    yield _stamp_ns(message), cv2.imdecode(message.data, cv2.IMREAD_COLOR)

    def found(self, stamp_ns: int) -> bool:
        """Whether a hand was found in the image of that stamp."""
        return any(stamp_ns in of_side for of_side in self.joints_m.values())

    def joints(self, side: str) -> np.ndarray:
        """(frames, 21, 3) of one side, for every image in order; NaN where it was not found."""
        unknown = np.full((hand.NUM_JOINTS, 3), np.nan)
        of_side = self.joints_m[side]
        frames = [of_side.get(stamp, unknown) for stamp in self.frame_stamps_ns]
        return np.stack(frames) if frames else np.empty((0, hand.NUM_JOINTS, 3))


def read_recording(folder: Path, namespace: str) -> Recording:
    """Read a bag that :class:`RecordingWriter` wrote; ``namespace`` is the nodes', such as ``/hand_pose``."""
    info, overlay = f"{namespace}/camera_info", f"{namespace}/image_overlay/compressed"
    hands = f"{namespace}/hands"
    of_joints = {f"{namespace}/{side}/joints": side for side in hand.SIDES}
    stamps: dict[str, list[int]] = {info: [], hands: [], overlay: []}
    joints: dict[str, dict[int, np.ndarray]] = {side: {} for side in hand.SIDES}
    with Reader(folder) as reader:
        for topic, message in _messages(reader, [*stamps, *of_joints]):
            stamp_ns = _stamp_ns(message)
            if topic in stamps:
                stamps[topic].append(stamp_ns)
            else:
                positions = [(p.position.x, p.position.y, p.position.z) for p in message.poses]
                joints[of_joints[topic]][stamp_ns] = np.array(positions)
    known = set(stamps[info])  # the first result may be of an image from before the recording
    processed, shown = ([stamp for stamp in stamps[topic] if stamp in known] for topic in (hands, overlay))
    return Recording(folder, stamps[info], processed, shown, joints, namespace)


def _messages(reader: Reader, topics: list[str]) -> Iterator[tuple[str, Any]]:
    connections = [connection for connection in reader.connections if connection.topic in topics]
    if connections:  # an empty list means all
        for connection, _, raw in reader.messages(connections):
            yield connection.topic, _TYPES.deserialize_cdr(raw, connection.msgtype)


def _stamp_ns(message: Any) -> int:
    stamp = message.header.stamp
    return stamp.sec * 1_000_000_000 + stamp.nanosec


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
        raise ValueError(f"{folder} holds other things than the recording of a demo: move it away")
    shutil.rmtree(folder)
