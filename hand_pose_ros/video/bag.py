"""Images and calibration out of a recording (rosbag2 as sqlite3 or MCAP, or a ROS 1 bag), by the rosbags library.

No ROS is needed. Images that cannot be read are passed over and reported.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Generator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from rosbags.interfaces import Connection

from hand_pose_ros.camera.calibration import camera_from_message
from hand_pose_ros.camera.lens_check import check_lens
from hand_pose_ros.camera.model import CameraModel, UncalibratedCameraError
from hand_pose_ros.video.bag_messages import BagMessages, images_of, stamp_ns
from hand_pose_ros.video.bag_topics import CAMERA_INFO, choose_images, find_info, full_type, names
from hand_pose_ros.video.camera_topics import is_rectified
from hand_pose_ros.video.encoded_video import EncodedVideo
from hand_pose_ros.video.sources import DEFAULT_RATE_HZ, SourceError, VideoFrame

_LOGGER = logging.getLogger(__name__)
_RATE_IMAGES: Final = 30  # from whose times the rate is taken
_LARGEST_OFFSET_S: Final = 1.0
_LEAST_STEP_S: Final = 1e-6
_DAY_NS: Final = 86_400_000_000_000


class BagSource:
    """One image topic of a recording, and the camera_info beside it.

    Times are those of the images' headers; where these do not follow the recording's times, the latter. See
    :class:`hand_pose_ros.video.sources.VideoSource` for the interface.

    Raises:
        ValueError: the recording cannot be read, or has no such image topic.
    """

    def __init__(
        self,
        paths: Path | list[Path],
        image_topic: str = "",
        rectified: bool = False,
        warn: Callable[[str], None] = _LOGGER.warning,
    ) -> None:
        """Open a recording.

        Args:
            paths: of a bag's folder, or of its files.
            image_topic: which to play; if empty, the first with colours.
            rectified: the images are rectified, whatever their topic's name.
            warn: receives what is wrong with the recording's content.
        """
        paths = [paths] if isinstance(paths, Path) else paths
        self._warn, self._said = warn, set[str]()
        self.name = shown = ", ".join(map(str, paths))
        self._bag = BagMessages(paths)
        try:
            self._images = choose_images(shown, self._bag.connections, image_topic, self._first_of, warn)
            self.image_topic = self._images[0].topic
            self.name = f"{shown} ({self.image_topic})"
            self._rectified = rectified or is_rectified(self.image_topic)
            self._infos = find_info(self.image_topic, self._bag.connections)
            if not self._infos:
                self._warn_of_other_calibrations()
            times, self._stamp_offset_ns = self._first_times()
            if not times:
                raise ValueError(
                    f"{shown} holds no message on {self.image_topic}; where its metadata.yaml was edited, name "
                    "the recording's file instead"
                )
            self._start_ns = times[0]
            self._camera = self._first_camera()
        except (ValueError, SourceError) as error:
            self._bag.close()
            raise ValueError(str(error)) from error
        spread_s = (times[-1] - times[0]) * 1e-9
        self.rate_hz = (len(times) - 1) / spread_s if spread_s > 0 else DEFAULT_RATE_HZ
        self.duration_s = sum(one.msgcount for one in self._images) / self.rate_hz
        self.skipped = 0
        self._frames = self._read_from(self._start_ns)

    def read(self) -> VideoFrame | None:
        """The next image that can be read; None at the end.

        Raises:
            SourceError: none of the recording's images can be read.
        """
        return next(self._frames, None)

    def seek(self, time_s: float) -> None:
        """Go on with the first image at or after ``time_s``."""
        self._frames = self._read_from(self._start_ns, max(time_s, 0.0))

    def close(self) -> None:
        """Close the recording."""
        self._frames.close()
        self._bag.close()

    def _say(self, text: str) -> None:
        """Warn, of each thing once."""
        if text not in self._said:
            self._said.add(text)
            self._warn(f"{self.name}: {text}")

    def _warn_of_other_calibrations(self) -> None:
        others = names(one for one in self._bag.connections if full_type(one.msgtype) == CAMERA_INFO)
        if others:
            self._say(
                f"no camera_info belongs to {self.image_topic}; those of other cameras are not used: {others}"
            )

    def _first_times(self) -> tuple[list[int], int | None]:
        """Times at which the first images were recorded, and their headers' offset if the headers can be used.

        The headers' times can be used if they increase and follow those of the recording. A first image that was
        recorded more than a day before the next has a wrong time, and is left out.
        """
        times: list[int] = []
        stamps: list[int] = []
        for connection, time_ns, raw in self._bag.messages(self._images):
            if len(times) == 1 and time_ns - times[0] > _DAY_NS:
                self._say("the first image was recorded more than a day before the next, and is left out")
                times, stamps = [], []
            times.append(time_ns)
            try:
                stamps.append(stamp_ns(self._bag.read(raw, connection)))
            except ValueError:
                stamps.append(0)
            if len(times) == _RATE_IMAGES:
                break
        known = [(stamp, time_ns) for stamp, time_ns in zip(stamps, times, strict=True) if stamp]
        if not known:
            return times, None
        offset = known[0][1] - known[0][0]
        rising = all(later[0] > earlier[0] for earlier, later in pairwise(known))
        follows = all(abs(stamp + offset - time_ns) < _LARGEST_OFFSET_S * 1e9 for stamp, time_ns in known)
        return times, offset if rising and follows else None

    def _first_of(self, connections: list[Connection]) -> Any:
        """Return the first message that can be read; None without one."""
        for connection, _, raw in self._bag.messages(connections):
            try:
                return self._bag.read(raw, connection)
            except ValueError:
                continue
        return None

    def _first_camera(self) -> CameraModel | None:
        info = self._first_of(self._infos) if self._infos else None
        return None if info is None else self._camera_of(info)

    def _camera_of(self, info: Any) -> CameraModel | None:
        """The camera of a CameraInfo message; None if it is not calibrated, or not valid."""
        try:
            camera = camera_from_message(_with_ros2_names(info), self._rectified)
        except UncalibratedCameraError as error:
            self._say(f"{self._infos[0].topic}: {error}")
            return None
        except ValueError as error:
            self._say(f"the calibration on {self._infos[0].topic} is not used: {error}")
            return None
        warning = check_lens(camera)
        if warning:
            self._say(warning)
        return camera

    def _read_from(self, start_ns: int, from_s: float = 0.0) -> Generator[VideoFrame, None, None]:
        # A header's time may lie before that of the recording, so seeking starts a little early.
        begin_ns = start_ns + max(0, round((from_s - _LARGEST_OFFSET_S) * 1e9))
        delivered, video = 0, EncodedVideo()
        topics = {one.topic for one in self._infos}
        last_s = -math.inf
        for connection, time_ns, raw in self._bag.messages([*self._infos, *self._images], start=begin_ns):
            try:
                message = self._bag.read(raw, connection)
                if connection.topic in topics:
                    self._camera = self._camera_of(message)
                    continue
                time_s = self._time_s(message, time_ns)
                images = images_of(message, connection, video, time_s)
            except ValueError as error:
                if connection.topic not in topics:
                    self.skipped += 1
                self._say(f"messages of {connection.topic} that cannot be read are passed over: {error}")
                continue
            for taken_s, pixels in images:
                if not from_s or taken_s >= from_s - 1e-9:
                    delivered += 1
                    last_s = max(taken_s, last_s + _LEAST_STEP_S)  # time does not go back
                    yield VideoFrame(pixels, max(last_s, 0.0), self._camera)
        if not delivered and self.skipped and not from_s:
            raise SourceError(
                f"{self.name}: none of its {self.skipped} images can be read; {self._last_word()}"
            )

    def _last_word(self) -> str:
        return next((one for one in self._said if "cannot be read" in one), "")

    def _time_s(self, message: Any, time_ns: int) -> float:
        recorded_s = (time_ns - self._start_ns) * 1e-9
        stamped_ns = stamp_ns(message)
        if not stamped_ns or self._stamp_offset_ns is None:
            return recorded_s
        stamped_s = (stamped_ns + self._stamp_offset_ns - self._start_ns) * 1e-9
        return stamped_s if abs(stamped_s - recorded_s) < _LARGEST_OFFSET_S else recorded_s


class _Ros2Info:
    """A ROS 1 CameraInfo, whose arrays have upper case names, under the names of ROS 2."""

    def __init__(self, message: Any) -> None:
        self._message = message

    def __getattr__(self, name: str) -> Any:
        return getattr(self._message, name.upper() if name in ("d", "k", "r", "p") else name)


def _with_ros2_names(info: Any) -> Any:
    return _Ros2Info(info) if hasattr(info, "K") else info
