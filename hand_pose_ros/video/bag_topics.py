"""The choice of a recording's image topic, and of the calibration that belongs to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from rosbags.interfaces import Connection

from hand_pose_ros.video.camera_topics import camera_info_topic, is_depth
from hand_pose_ros.video.encoded_video import is_encoded_video
from hand_pose_ros.video.image_data import SUPPORTED_ENCODINGS

IMAGE: Final = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE: Final = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO: Final = "sensor_msgs/msg/CameraInfo"
_GREY_WORDS: Final = ("16UC1", "mono16", "mono8", "8UC1")


def full_type(name: str) -> str:
    """Message type as it is written today: the first rosbag2 files say 'sensor_msgs/Image'."""
    parts = name.split("/")
    return f"{parts[0]}/msg/{parts[-1]}"


def names(connections: Iterable[Connection]) -> str:
    """The topics and their types, for a message."""
    return ", ".join(sorted({f"{one.topic} ({one.msgtype})" for one in connections}))


def choose_images(
    shown: str,
    connections: list[Connection],
    topic: str,
    first: Callable[[list[Connection]], Any],
    warn: Callable[[str], None],
    option: str = "image_topic",
) -> list[Connection]:
    """All channels of the image topic to play.

    Args:
        shown: the recording, for messages.
        topic: which is asked for; if empty, the first with colours, or with grey values, but not with depth.
        first: the first message of connections that can be read.
        warn: told which topics there were to choose from, and that a topic's other types are left out.
        option: that chooses the topic, for the message.

    Raises:
        ValueError: there is no such topic, or none with images that can be played.
    """
    images: dict[tuple[str, str], list[Connection]] = {}
    for one in connections:
        kind = full_type(one.msgtype)
        if one.msgcount and (kind in (IMAGE, COMPRESSED_IMAGE) or is_encoded_video(kind)):
            images.setdefault((one.topic, kind), []).append(one)
    if topic:
        wanted = {topic, "/" + topic.strip("/")}
        images = {key: channels for key, channels in images.items() if key[0] in wanted}
    if not images:
        asked = f"topic {topic[:200]} of images" if topic else "topic with images"
        raise ValueError(f"{shown} has no {asked}; it has {names(connections) or 'nothing'}")
    ranked = sorted(images.items(), key=lambda item: _rank(item[0], first(item[1])))
    (chosen, kind), channels = ranked[0]
    if _rank((chosen, kind), first(channels)) == _DEPTH and not topic:
        depth = names(one for group in images.values() for one in group)
        raise ValueError(f"{shown} holds depth images only ({depth}); hands need colours or grey values")
    if len(images) > 1:
        others = sorted({other for other, _ in images if other != chosen})
        if others:
            warn(f"{shown}: {chosen} is played; there are also {', '.join(others)} (choose by {option})")
    return channels


_DEPTH: Final = 3


def _rank(key: tuple[str, str], message: Any) -> int:
    """0 for colours, 1 for grey values, 2 for what cannot be read, 3 for depth."""
    topic, kind = key
    if is_depth(topic):
        return _DEPTH
    if message is None:
        return 2
    if kind == IMAGE:
        encoding = message.encoding
        if encoding not in SUPPORTED_ENCODINGS:
            return _DEPTH if encoding.startswith(("32", "64", "16S")) else 2
        return 1 if encoding in _GREY_WORDS else 0
    if kind == COMPRESSED_IMAGE:
        if "compresseddepth" in message.format.lower():
            return _DEPTH
        return 1 if message.format.startswith(_GREY_WORDS) else 0
    return 0


def find_info(image_topic: str, connections: list[Connection]) -> list[Connection]:
    """The channels of the camera_info beside an image topic; none rather than that of another camera."""
    wanted = camera_info_topic(image_topic)
    infos = (one for one in connections if full_type(one.msgtype) == CAMERA_INFO and one.msgcount)
    return [one for one in infos if one.topic == wanted]
