"""Images and calibration out of a rosbag2 (sqlite3 or MCAP), by the rosbags library: no ROS 2 needed."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, Final

import cv2
import numpy as np
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_typestore

from hand_pose_ros.camera.calibration import camera_from_message
from hand_pose_ros.camera.model import CameraModel, UncalibratedCameraError
from hand_pose_ros.video.sources import DEFAULT_RATE_HZ, SourceError, VideoFrame

_IMAGE: Final = "sensor_msgs/msg/Image"
_COMPRESSED_IMAGE: Final = "sensor_msgs/msg/CompressedImage"
_CAMERA_INFO: Final = "sensor_msgs/msg/CameraInfo"

# ROS encoding -> (bytes per pixel, OpenCV conversion to BGR; None if it is BGR already). OpenCV names a Bayer
# pattern after its second row, ROS after its first.
_ENCODINGS: Final = {
    "bgr8": (3, None),
    "8UC3": (3, None),
    "rgb8": (3, cv2.COLOR_RGB2BGR),
    "bgra8": (4, cv2.COLOR_BGRA2BGR),
    "rgba8": (4, cv2.COLOR_RGBA2BGR),
    "mono8": (1, cv2.COLOR_GRAY2BGR),
    "8UC1": (1, cv2.COLOR_GRAY2BGR),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2BGR_YUY2),
    "yuv422": (2, cv2.COLOR_YUV2BGR_UYVY),
    "bayer_rggb8": (1, cv2.COLOR_BayerBG2BGR),
    "bayer_bggr8": (1, cv2.COLOR_BayerRG2BGR),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGR2BGR),
    "bayer_grbg8": (1, cv2.COLOR_BayerGB2BGR),
}


class BagSource:
    """One image topic of a recording, and the camera_info beside it; times are those of the recording.

    See :class:`hand_pose_ros.video.sources.VideoSource` for the interface.

    Raises:
        ValueError: the recording cannot be read, or has no such image topic.
    """

    def __init__(self, path: Path, image_topic: str = "") -> None:
        # Recordings of Iron and later hold their message definitions; older ones get today's.
        self._types = get_typestore(Stores.ROS2_JAZZY)
        try:
            self._reader = AnyReader([path], default_typestore=self._types)
            self._reader.open()
        except (AnyReaderError, FileNotFoundError, ValueError) as error:
            raise ValueError(f"{path} is not a rosbag2 that can be read: {error}") from error
        try:
            self._image = _image_connection(path, self._reader.connections, image_topic)
            self._info = _info_connection(self._image.topic, self._reader.connections)
            self.image_topic = self._image.topic
            self.name = f"{path} ({self.image_topic})"
            self._start_ns = next(self._times(self._image))
            self._camera = self._first_camera()
        except StopIteration:
            self._reader.close()
            raise ValueError(f"{path} holds no message on {self._image.topic}") from None
        except ValueError:
            self._reader.close()
            raise
        self.duration_s = (self._reader.end_time - self._start_ns) * 1e-9
        intervals = self._image.msgcount - 1
        self.rate_hz = (
            intervals / self.duration_s if intervals > 0 and self.duration_s > 0 else DEFAULT_RATE_HZ
        )
        self._frames = self._read_from(self._start_ns)

    def read(self) -> VideoFrame | None:
        """The next image; None at the end."""
        return next(self._frames, None)

    def seek(self, time_s: float) -> None:
        """Go on with the first image at or after ``time_s``."""
        self._frames = self._read_from(self._start_ns + round(max(time_s, 0.0) * 1e9))

    def close(self) -> None:
        """Close the recording."""
        self._frames.close()
        self._reader.close()

    def _times(self, connection: Connection) -> Iterator[int]:
        return (time_ns for _, time_ns, _ in self._reader.messages([connection]))

    def _first_camera(self) -> CameraModel | None:
        if self._info is None:
            return None
        for _, _, raw in self._reader.messages([self._info]):
            return _camera(self._deserialise(raw, self._info))
        return None

    def _read_from(self, start_ns: int) -> Generator[VideoFrame, None, None]:
        connections = [self._image] if self._info is None else [self._info, self._image]
        for connection, time_ns, raw in self._reader.messages(connections, start=start_ns):
            message = self._deserialise(raw, connection)
            if connection.id == self._image.id:
                yield VideoFrame(_pixels(message), (time_ns - self._start_ns) * 1e-9, self._camera)
            else:
                self._camera = _camera(message)

    def _deserialise(self, raw: bytes, connection: Connection) -> Any:
        known = connection.msgtype in self._reader.typestore.fielddefs
        types = self._reader.typestore if known else self._types
        try:
            return types.deserialize_cdr(
                raw, _full_type(connection.msgtype) if not known else connection.msgtype
            )
        except (ValueError, KeyError, IndexError) as error:
            raise SourceError(
                f"{self.name}: a message of {connection.topic} cannot be read: {error}"
            ) from error


def _full_type(name: str) -> str:
    """Message type as it is written today: the first rosbag2 files say 'sensor_msgs/Image'."""
    parts = name.split("/")
    return f"{parts[0]}/msg/{parts[-1]}"


def _image_connection(path: Path, connections: list[Connection], topic: str) -> Connection:
    images = [c for c in connections if _full_type(c.msgtype) in (_IMAGE, _COMPRESSED_IMAGE) and c.msgcount]
    if topic:
        wanted = "/" + topic.strip("/")
        images = [c for c in images if c.topic == wanted or c.topic == topic]
    if not images:
        topics = sorted(f"{c.topic} ({c.msgtype})" for c in connections)
        asked = f"topic {topic} of images" if topic else "topic of images"
        raise ValueError(f"{path} has no {asked}; it has {', '.join(topics) or 'nothing'}")
    return images[0]


def _info_connection(image_topic: str, connections: list[Connection]) -> Connection | None:
    """The camera_info in the image's namespace, or the only one there is."""
    infos = [c for c in connections if _full_type(c.msgtype) == _CAMERA_INFO and c.msgcount]
    image = PurePosixPath(image_topic)
    for folder in (image.parent, image.parent.parent):  # .../image_raw, .../image_raw/compressed
        for connection in infos:
            if connection.topic == str(folder / "camera_info"):
                return connection
    return infos[0] if len(infos) == 1 else None


def _camera(info: SimpleNamespace) -> CameraModel | None:
    """The camera of a CameraInfo message; None if it says that it is not calibrated."""
    try:
        return camera_from_message(info)
    except UncalibratedCameraError:
        return None


def _pixels(message: SimpleNamespace) -> np.ndarray:
    """(H, W, 3) uint8 BGR of an Image or CompressedImage message."""
    if hasattr(message, "format"):
        image = cv2.imdecode(message.data, cv2.IMREAD_COLOR)
        if image is None:
            raise SourceError(f"an image of format {message.format!r} cannot be decoded")
        return image
    return bgr_from_bytes(message.data, message.height, message.width, message.step, message.encoding)


def bgr_from_bytes(data: np.ndarray, height: int, width: int, step: int, encoding: str) -> np.ndarray:
    """(H, W, 3) uint8 BGR of an image as sensor_msgs/Image holds it.

    Args:
        data: (at least height * step,) uint8.
        step: bytes per row, including padding.

    Raises:
        SourceError: unknown encoding, or data that does not fit the stated size.
    """
    if encoding not in _ENCODINGS:
        raise SourceError(
            f"images of encoding {encoding!r} cannot be played; those that can: {', '.join(_ENCODINGS)}"
        )
    channels, conversion = _ENCODINGS[encoding]
    if step < width * channels or data.size < height * step or height * width == 0:
        raise SourceError(
            f"an image of {width}x{height} {encoding} cannot have {data.size} bytes with {step} bytes per row"
        )
    rows = data[: height * step].reshape(height, step)[:, : width * channels]
    image = np.ascontiguousarray(rows).reshape(height, width, channels)
    return image if conversion is None else cv2.cvtColor(image, conversion)
