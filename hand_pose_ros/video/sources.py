"""The interface of video sources, and those that OpenCV reads: video files, webcams and image folders."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import cv2
import numpy as np

from hand_pose_ros.camera.model import CameraModel

DEFAULT_RATE_HZ: Final = 30.0
"""Rate of what has none of its own: image folders, and files that do not state it."""
IMAGE_SUFFIXES: Final = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_HIGHEST_CREDIBLE_RATE_HZ: Final = 1000.0


class SourceError(RuntimeError):
    """A source that was opened cannot deliver its next frame."""


@dataclass(frozen=True)
class VideoFrame:
    """One image of a source.

    image: (H, W, 3) uint8, BGR.
    time_s: when it was taken, seconds since the first image of the source; None if it is taken as it is read.
    camera: calibration that came with the image, if any.
    """

    image: np.ndarray
    time_s: float | None
    camera: CameraModel | None = None


class VideoSource(Protocol):
    """Images in the order in which they were taken.

    name: for messages to the user.
    rate_hz: nominal rate; None for a live source, which delivers in its own time.
    duration_s: from the first image to one period after the last; None if live or unknown.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def rate_hz(self) -> float | None: ...  # noqa: D102

    @property
    def duration_s(self) -> float | None: ...  # noqa: D102

    def read(self) -> VideoFrame | None:
        """The next image; None at the end. Raises SourceError if it cannot be delivered."""
        ...

    def seek(self, time_s: float) -> None:
        """Go on with the first image at or after ``time_s``; a live source only accepts 0 and ignores it."""
        ...

    def close(self) -> None:
        """Free what the source holds."""
        ...


class VideoFileSource:
    """A video file, by OpenCV."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise ValueError(f"{path} is not a video that OpenCV can read")
        rate_hz = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate_hz = rate_hz if 0 < rate_hz <= _HIGHEST_CREDIBLE_RATE_HZ else DEFAULT_RATE_HZ
        frames = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.duration_s = frames / self.rate_hz if frames > 0 else None
        self._next = 0

    def read(self) -> VideoFrame | None:
        """See :class:`VideoSource`."""
        good, image = self._capture.read()
        if not good:
            return None
        time_s = self._next / self.rate_hz
        self._next += 1
        return VideoFrame(image, time_s)

    def seek(self, time_s: float) -> None:
        """See :class:`VideoSource`."""
        self._next = first_index(time_s, self.rate_hz)
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, self._next)

    def close(self) -> None:
        """See :class:`VideoSource`."""
        self._capture.release()


class WebcamSource:
    """A camera of this machine, by Video4Linux; its images are taken as they are read."""

    rate_hz = None
    duration_s = None

    def __init__(self, index: int) -> None:
        self.name = f"webcam {index}"
        self._capture = cv2.VideoCapture(index, cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise FileNotFoundError(
                f"no webcam {index}: /dev/video{index} is absent, in use, or not yours to open (group 'video')"
            )
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # an old image is worth less than none

    def read(self) -> VideoFrame | None:
        """See :class:`VideoSource`."""
        good, image = self._capture.read()
        if not good:
            raise SourceError(f"{self.name} no longer delivers images")
        return VideoFrame(image, None)

    def seek(self, time_s: float) -> None:
        """See :class:`VideoSource`."""
        if time_s > 0:
            raise ValueError(f"{self.name} is live: it cannot start at {time_s} s")

    def close(self) -> None:
        """See :class:`VideoSource`."""
        self._capture.release()


class ImageFolderSource:
    """The images of a folder, in the order of their names (2.png before 10.png)."""

    rate_hz = DEFAULT_RATE_HZ

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        files = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
        self._files = sorted(files, key=_natural_order)
        if not self._files:
            raise ValueError(f"{folder} holds neither images ({', '.join(IMAGE_SUFFIXES)}) nor a rosbag2")
        self.duration_s = len(self._files) / self.rate_hz
        self._next = 0

    def read(self) -> VideoFrame | None:
        """See :class:`VideoSource`."""
        if self._next >= len(self._files):
            return None
        path = self._files[self._next]
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise SourceError(f"{path} is not an image that OpenCV can read")
        time_s = self._next / self.rate_hz
        self._next += 1
        return VideoFrame(image, time_s)

    def seek(self, time_s: float) -> None:
        """See :class:`VideoSource`."""
        self._next = first_index(time_s, self.rate_hz)

    def close(self) -> None:
        """See :class:`VideoSource`."""


def first_index(time_s: float, rate_hz: float) -> int:
    """Index of the first image at or after ``time_s`` in a sequence of constant rate."""
    return max(0, int(np.ceil(time_s * rate_hz - 1e-6)))


def _natural_order(path: Path) -> list[tuple[int, int | str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts]
