"""The module reads what the demo's summary needs from its MCAP bag, without ROS 2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from hand_pose_ros import hand

_TYPES: Final = get_typestore(Stores.ROS2_JAZZY)


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
    """Read a bag of ``recordings.bag_writer``; ``namespace`` is the nodes', such as ``/hand_pose``."""
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
