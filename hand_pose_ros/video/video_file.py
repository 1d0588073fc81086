"""A video file as a source: decoded by OpenCV, turned as its metadata says, with the file's own times."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Final

# FFmpeg writes dozens of lines about a stream that it cannot decode; what is wrong is in our own message.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2
import numpy as np

from hand_pose_ros.video.sources import DEFAULT_RATE_HZ, VideoFrame

_HIGHEST_CREDIBLE_RATE_HZ: Final = 1000.0
_SEEK_MARGIN_S: Final = 1.0
_ROTATIONS: Final = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}


class VideoFileSource:
    """A video file; see :class:`hand_pose_ros.video.sources.VideoSource`.

    Images are turned as a player shows them. Their times are those of the file, which need not be evenly spaced.
    """

    def __init__(self, path: Path) -> None:
        """Open the file and decode its first image.

        Raises:
            ValueError: OpenCV cannot open it, or cannot decode it.
        """
        self.name = str(path)
        self._path = path
        try:
            self.name.encode()
        except UnicodeEncodeError as error:  # OpenCV would end the process
            raise ValueError(f"the name of {self.name!a} is not valid UTF-8: rename the video") from error
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise ValueError(f"{path} is not a video that OpenCV can read")
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        turn = self._capture.get(cv2.CAP_PROP_ORIENTATION_META)
        self._rotation = _ROTATIONS.get(round(turn) % 360) if math.isfinite(turn) else None
        rate_hz = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate_hz = rate_hz if 0 < rate_hz <= _HIGHEST_CREDIBLE_RATE_HZ else DEFAULT_RATE_HZ
        frames = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.duration_s = frames / self.rate_hz if frames > 0 else None
        good, image = self._capture.read()
        if not good:
            codec = _fourcc(self._capture)
            self._capture.release()
            raise ValueError(_undecodable(path, codec))
        self._origin_s = self._file_time_s()
        self._last_s: float | None = None
        self._pending: np.ndarray | None = image

    def read(self) -> VideoFrame | None:
        """See :class:`~hand_pose_ros.video.sources.VideoSource`."""
        image, self._pending = self._pending, None
        if image is None:
            good, image = self._capture.read()
            if not good:
                return None
        if self._rotation is not None:
            image = cv2.rotate(image, self._rotation)
        return VideoFrame(image, self._time_s())

    def seek(self, time_s: float) -> None:
        """See :class:`~hand_pose_ros.video.sources.VideoSource`."""
        # A frame's number says little about its time where the rate varies: start before it and look at the times.
        self._start_at(max(0, int((time_s - _SEEK_MARGIN_S) * self.rate_hz)))
        if self._pending is not None and self._file_time_s() - self._origin_s > time_s:
            self._start_at(0)
        while self._pending is not None and self._file_time_s() - self._origin_s < time_s - 1e-6:
            good, image = self._capture.read()
            self._pending = image if good else None

    def close(self) -> None:
        """See :class:`~hand_pose_ros.video.sources.VideoSource`."""
        self._capture.release()

    def _start_at(self, frame: int) -> None:
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, frame)
        good, image = self._capture.read()
        if not good and frame == 0:  # some streams cannot go back
            self._capture.release()
            self._capture = cv2.VideoCapture(str(self._path))
            self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
            good, image = self._capture.read()
        self._pending = image if good else None
        self._last_s = None

    def _time_s(self) -> float:
        """The time of the image that is delivered next, from the first image; it increases from call to call."""
        time_s = self._file_time_s() - self._origin_s
        if self._last_s is not None and not time_s > self._last_s:
            time_s = self._last_s + 1 / self.rate_hz
        self._last_s = max(time_s, 0.0)
        return self._last_s

    def _file_time_s(self) -> float:
        milliseconds = self._capture.get(cv2.CAP_PROP_POS_MSEC)
        return milliseconds / 1000 if math.isfinite(milliseconds) else 0.0


def _fourcc(capture: cv2.VideoCapture) -> str:
    code = int(capture.get(cv2.CAP_PROP_FOURCC))
    return "".join(chr(code >> shift & 0xFF) for shift in (0, 8, 16, 24)).strip("\0 ")


def _undecodable(path: Path, codec: str) -> str:
    shown = {"av01": "AV1", "AV01": "AV1", "hev1": "H.265", "hvc1": "H.265"}.get(codec, codec or "unknown")
    return (
        f"{path}: this OpenCV cannot decode the video's codec ({shown}), or the file holds no images; convert it, "
        f"for example: ffmpeg -i {path.name} -c:v libx264 converted.mp4"
    )
