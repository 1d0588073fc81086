"""One image file, or the images of a folder, as a source."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from hand_pose_ros.files.image_file import read_image
from hand_pose_ros.video.sources import DEFAULT_RATE_HZ, SourceError, VideoFrame

IMAGE_SUFFIXES: Final = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_LOGGER = logging.getLogger(__name__)


class ImageFilesSource:
    """Image files, turned as their EXIF data say; see :class:`hand_pose_ros.video.sources.VideoSource`.

    A file that cannot be read is passed over and reported; its time stays empty.
    """

    rate_hz = DEFAULT_RATE_HZ

    def __init__(
        self, name: str, files: Sequence[Path], warn: Callable[[str], None] = _LOGGER.warning
    ) -> None:
        """``files``: at least one, in their order."""
        self.name = name
        self._files, self._warn = list(files), warn
        self.duration_s = len(self._files) / self.rate_hz
        self._next = self._delivered = 0

    @classmethod
    def of_folder(cls, folder: Path, warn: Callable[[str], None] = _LOGGER.warning) -> ImageFilesSource:
        """The images of a folder, in the order of their names (2.png before 10.png), without hidden files.

        Raises:
            ValueError: it holds none.
        """
        files = sorted(images_in(folder), key=_natural_order)
        if not files:
            raise ValueError(f"{folder} holds neither images ({', '.join(IMAGE_SUFFIXES)}) nor a rosbag2")
        return cls(str(folder), files, warn)

    def read(self) -> VideoFrame | None:
        """See :class:`~hand_pose_ros.video.sources.VideoSource`.

        Raises:
            SourceError: none of the files can be read.
        """
        while self._next < len(self._files):
            path, time_s = self._files[self._next], self._next / self.rate_hz
            self._next += 1
            image = _read(path)
            if image is not None:
                self._delivered += 1
                return VideoFrame(image, time_s)
            self._warn(f"{path} is not an image that OpenCV can read, and is passed over")
        if not self._delivered:
            raise SourceError(f"{self.name} holds no image that OpenCV can read")
        return None

    def seek(self, time_s: float) -> None:
        """See :class:`~hand_pose_ros.video.sources.VideoSource`."""
        self._next = max(0, int(np.ceil(time_s * self.rate_hz - 1e-6)))

    def close(self) -> None:
        """See :class:`~hand_pose_ros.video.sources.VideoSource`."""


def images_in(folder: Path) -> list[Path]:
    """The image files in a folder, without hidden ones."""
    return [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]


def _read(path: Path) -> np.ndarray | None:
    try:
        return read_image(path)
    except (ValueError, OSError):
        return None


def _natural_order(path: Path) -> list[tuple[int, int | str]]:
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts]
