"""One episode: the data of a recording as time series, and its images one after the other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from rosbags.interfaces import Connection

from hand_pose_ros import hand
from hand_pose_ros.camera.calibration import camera_from_message
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.recordings.description import read_description
from hand_pose_ros.recordings.hand_series import HandCollector, HandSeries
from hand_pose_ros.recordings.value_series import VALUE_TYPES, ValueCollector, ValueSeries, newest_before
from hand_pose_ros.retargeting.teleoperation.engagement import State
from hand_pose_ros.video.bag_messages import BagMessages, images_of, stamp_ns
from hand_pose_ros.video.bag_topics import choose_images, find_info, full_type
from hand_pose_ros.video.camera_topics import is_rectified
from hand_pose_ros.video.encoded_video import EncodedVideo, is_encoded_video
from hand_pose_ros.video.sources import SourceError

_LOGGER = logging.getLogger(__name__)
_MOST_LATE_NS: Final = 10_000_000_000
_MOST_EARLY_NS: Final = 1_000_000_000
_FOLLOWING: Final = frozenset(state.value for state in State if state.following)
_Add = Callable[[Any, int], None]


@dataclass(frozen=True, eq=False)
class FollowingSeries:
    """Whether the robot followed the hand: ``following`` (n,) from each of ``times_ns`` (n,) on."""

    times_ns: np.ndarray
    following: np.ndarray

    def at(self, times_ns: np.ndarray) -> np.ndarray:
        """(t,) bool at each time; False before the first state."""
        index = newest_before(self.times_ns, times_ns)
        return (index >= 0) & self.following[np.maximum(index, 0)]


class Episode:
    """A recording, read by its description; a context manager. Its data are there after :meth:`read`.

    Times are those of the messages' headers where these follow the recording's (10 s before to 1 s after), and
    those of the recording otherwise: of messages without a header, with the stamp zero, or of a simulated clock.

    Args:
        path: a bag's folder, or its file; the files of a folder without metadata.yaml are read one by one.
        given: values that replace those of the recorder's description.
        warn: receives what is wrong with the recording's content.

    Raises:
        ValueError: the recording cannot be read, or has no images.
    """

    def __init__(
        self,
        path: Path,
        given: dict[str, Any] | None = None,
        warn: Callable[[str], None] = _LOGGER.warning,
    ) -> None:
        self.path = path
        self.skipped = 0
        """Number of messages that could not be read."""
        self.hands: dict[str, HandSeries] = {}
        self.state: ValueSeries | None = None
        self.command: ValueSeries | None = None
        self.following: FollowingSeries | None = None
        self._warn, self._said = warn, set[str]()
        self.image_times_ns = np.empty(0, np.int64)
        """Times (n,) of the images, which do not fall."""
        self._bag = BagMessages(_files_of(path))
        try:
            self.description = read_description(path).updated(given or {})
            self._images = self._choose_images()
        except (ValueError, OSError, SourceError) as error:
            self._bag.close()
            raise ValueError(str(error)) from error

    def __enter__(self) -> Episode:
        return self

    def __exit__(self, *exception: object) -> None:
        self._bag.close()

    def has(self, topic: str) -> bool:
        """Whether there are messages of a topic."""
        return any(one.topic == topic and one.msgcount for one in self._bag.connections)

    def has_hand(self, side: str) -> bool:
        """Whether there are messages of the joints of a side's hand."""
        return self.has(f"{self.description.namespace}/{side}/joints")

    def camera(self) -> CameraModel | None:
        """The first calibration on the camera_info beside the images; None without one that is valid."""
        topic = self._images[0].topic
        infos = find_info(topic, self._bag.connections)
        try:
            info = self._first_of(infos) if infos else None
            return None if info is None else camera_from_message(info, is_rectified(topic))
        except (ValueError, SourceError) as error:
            self._say(f"the calibration on {infos[0].topic} is not used: {error}")
            return None

    def read(self) -> None:
        """Read everything but the pixels.

        Raises:
            ValueError: the recording is damaged, or a topic is of a type that holds no values of joints.
        """
        try:
            self._read_data()
        except SourceError as error:
            raise ValueError(str(error)) from error

    def images_at(self, times_ns: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the newest image (H, W, 3) uint8 BGR at or before each time (t,), which rise.

        Raises:
            SourceError: no image could be read at or before a time, or the recording is damaged.
        """
        stream = self._decoded()
        upcoming = next(stream, None)
        current: np.ndarray | None = None
        for time_ns in times_ns.tolist():
            newest: Callable[[], np.ndarray | None] | None = None
            while upcoming is not None and upcoming[0] <= time_ns:
                newest = upcoming[1]
                upcoming = next(stream, None)
            image = None if newest is None else newest()
            current = current if image is None else image
            if current is None:
                raise SourceError(f"{self.path}: its first images cannot be read")
            yield current

    # --- reading -----------------------------------------------------------------------------------------------

    def _choose_images(self) -> list[Connection]:
        topic, connections = self.description.image, self._bag.connections
        recorded = {one.topic for one in connections}
        if topic and topic not in recorded and f"{topic}/compressed" in recorded:
            topic = f"{topic}/compressed"
        return choose_images(str(self.path), connections, topic, self._first_of, self._say, "--image")

    def _first_of(self, connections: list[Connection]) -> Any:
        for connection, _, raw in self._bag.messages(connections):
            try:
                return self._bag.read(raw, connection)
            except ValueError:
                continue
        return None

    def _read_data(self) -> None:
        wanted = self.description
        hands, state, command = HandCollector(), ValueCollector(), ValueCollector(wanted.command_names)
        following: list[tuple[int, bool]] = []
        images: list[int] = []
        readers: dict[str, Callable[[Any, int, str], object]] = {
            f"{wanted.namespace}/hands": lambda message, time_ns, _: hands.add_cloud(message, time_ns),
            wanted.teleop_state: lambda message, time_ns, _: following.append((time_ns, _follows(message))),
            wanted.joint_states: lambda message, time_ns, kind: state.add(message, kind, time_ns),
            wanted.command: lambda message, time_ns, kind: command.add(message, kind, time_ns),
        }
        for side in hand.SIDES:
            for topic, add in (
                ("joints", hands.add_joints),
                ("wrist", hands.add_wrist),
                ("joint_states", hands.add_angles),
            ):
                readers[f"{wanted.namespace}/{side}/{topic}"] = _of_side(add, side)
        readers.pop("", None)
        connections = [one for one in self._bag.connections if one.topic in readers]
        for topic in (wanted.joint_states, wanted.command):
            self._check_type(topic)
        topics = {one.topic for one in self._images}
        for connection, time_ns, raw in self._bag.messages([*connections, *self._images]):
            try:
                if connection.topic in topics:
                    images.append(_time_ns(_stamp_in(raw), time_ns))
                    continue
                message = self._bag.read(raw, connection)
                at_ns = _time_ns(stamp_ns(message), time_ns)
                readers[connection.topic](message, at_ns, full_type(connection.msgtype))
            except (ValueError, AttributeError, TypeError, OverflowError) as error:
                self.skipped += 1
                self._say(f"messages of {connection.topic} that cannot be used are passed over: {error}")
        self.hands = {side: found for side in hand.SIDES if (found := hands.series(side)) is not None}
        self.state, self.command = state.series(), command.series()
        if following:
            following.sort(key=lambda one: one[0])
            times, values = zip(*following, strict=True)
            self.following = FollowingSeries(np.array(times, np.int64), np.array(values, bool))
        self.image_times_ns = np.maximum.accumulate(np.array(images, np.int64))

    def _check_type(self, topic: str) -> None:
        for one in self._bag.connections:
            if one.topic == topic and topic and full_type(one.msgtype) not in VALUE_TYPES:
                raise ValueError(
                    f"{self.path}: {topic} is of type {one.msgtype}, expected {', '.join(VALUE_TYPES)}"
                )

    def _decoded(self) -> Iterator[tuple[int, Callable[[], np.ndarray | None]]]:
        """Time and decoder of every image; the times rise. An image that comes late is passed over."""
        video, last_ns, first_ns = EncodedVideo(), -1, int(self.image_times_ns[0])
        for connection, recorded_ns, raw in self._bag.messages(self._images):
            time_ns = _time_ns(_stamp_in(raw), recorded_ns)
            if is_encoded_video(full_type(connection.msgtype)):
                # An image may need packets before it, and come some packets late.
                # Whole nanoseconds since the first image: the decoder hands them through as they are.
                for since_ns, image in self._read_images(raw, connection, video, float(time_ns - first_ns)):
                    last_ns = max(last_ns + 1, first_ns + int(since_ns))
                    yield last_ns, lambda image=image: image
            elif time_ns > last_ns:
                last_ns = time_ns
                yield time_ns, lambda raw=raw, connection=connection: self._one_image(raw, connection, video)

    def _one_image(self, raw: bytes, connection: Connection, video: EncodedVideo) -> np.ndarray | None:
        found = self._read_images(raw, connection, video, 0.0)
        return found[0][1] if found else None

    def _read_images(
        self, raw: bytes, connection: Connection, video: EncodedVideo, time_s: float
    ) -> list[tuple[float, np.ndarray]]:
        try:
            return images_of(self._bag.read(raw, connection), connection, video, time_s)
        except ValueError as error:
            self.skipped += 1
            self._say(f"images of {connection.topic} that cannot be read are passed over: {error}")
            return []

    def _say(self, text: str) -> None:
        """Warn, once a topic."""
        key = text.partition(":")[0]
        if key not in self._said:
            self._said.add(key)
            self._warn(text if text.startswith(str(self.path)) else f"{self.path}: {text}")


def _files_of(path: Path) -> list[Path]:
    if path.is_dir() and not (path / "metadata.yaml").exists() and (files := sorted(path.glob("*.mcap"))):
        return files
    return [path]


def _of_side(add: Callable[[Any, str, int], None], side: str) -> Callable[[Any, int, str], None]:
    return lambda message, time_ns, _: add(message, side, time_ns)


def _follows(message: Any) -> bool:
    return str(message.data).partition(":")[0] in _FOLLOWING


def _stamp_in(raw: bytes) -> int:
    """The stamp in a serialised image message, nanoseconds; 0 if it is too short."""
    if len(raw) < 12:
        return 0
    order = "little" if raw[1] & 1 else "big"
    seconds = int.from_bytes(raw[4:8], order, signed=True)
    return seconds * 1_000_000_000 + int.from_bytes(raw[8:12], order)


def _time_ns(stamped_ns: int, recorded_ns: int) -> int:
    """The stamp if it is there and follows the time of the recording, and that time otherwise."""
    late_ns = recorded_ns - stamped_ns
    return stamped_ns if stamped_ns and -_MOST_EARLY_NS <= late_ns <= _MOST_LATE_NS else recorded_ns
