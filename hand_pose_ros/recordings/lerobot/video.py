"""The camera's video: the frames of all episodes one after the other, in MP4 files of bounded size."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from hand_pose_ros.recordings.lerobot.libraries import pyav
from hand_pose_ros.recordings.lerobot.paths import FileNumber
from hand_pose_ros.recordings.lerobot.priority import call_at_own_priority

_ENCODER: Final = "libsvtav1"
_CODEC: Final = "av1"
_QUALITY: Final = 30
_WHOLE_EVERY: Final = 2
"""Every second image is whole, so that any image is decoded fast. Both values are LeRobot's defaults."""
_PRESET: Final = 10
"""LeRobot's default is 12, which SVT-AV1 warns of: visual artefacts."""
_LOG_ERRORS: Final = ("SVT_LOG", "1")
_PIXEL_FORMAT: Final = "yuv420p"


class VideoSpan(NamedTuple):
    """The place of an episode's images: file, and the times of their beginning and end in it, seconds."""

    file: FileNumber
    from_s: float
    to_s: float


class VideoWriter:
    """Encodes images of one size; a new file begins with the first episode after one is full.

    Args:
        root: folder of the data set. template: of the file's path in it, see ``FileNumber.path``.
        size: (width, height), even.
        most_bytes: a file that has reached it takes no further episode.

    Raises:
        ImportError: PyAV is not installed.
        ValueError: this PyAV has not the encoder.
    """

    def __init__(self, root: Path, template: str, fps: int, size: tuple[int, int], most_bytes: int) -> None:
        self._av = pyav()
        self._root, self._template = root, template
        self._fps, self._size, self._most_bytes = fps, size, most_bytes
        if _ENCODER not in self._av.codecs_available:
            raise ValueError(f"this PyAV cannot encode {_CODEC}: it was built without {_ENCODER}")
        self._file = FileNumber(0, 0)
        self._container: Any = None
        self._stream: Any = None
        self._frames = self._first = self._bytes = 0

    @property
    def path(self) -> Path:
        """The file that is written."""
        return self._root / self._file.path(self._template)

    def begin_episode(self) -> None:
        """Begin an episode, in a new file if the last one is full."""
        if self._container is not None and self._bytes >= self._most_bytes:
            self.close()
            self._file = self._file.following()
        if self._container is None:
            self._open()
        self._first = self._frames

    def add(self, image_rgb: np.ndarray) -> None:
        """Encode an image (H, W, 3) uint8 RGB.

        Raises:
            ValueError: the encoder refuses it, such as one of less than 4 x 4 pixels.
            OSError: the file cannot be written.
        """
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(image_rgb), format="rgb24")
        frame.pts, frame.time_base = self._frames, Fraction(1, self._fps)
        self._frames += 1
        try:
            if not self._stream.codec_context.is_open:
                call_at_own_priority(self._stream.codec_context.open)
            self._write(self._container, self._stream.encode(frame))
        except self._av.FFmpegError as error:
            if isinstance(error, OSError):
                raise
            width, height = self._size
            raise ValueError(
                f"images of {width} x {height} cannot be encoded as {_CODEC}: {error}"
            ) from error

    def end_episode(self) -> VideoSpan:
        """Return where the episode's images are."""
        return VideoSpan(self._file, self._first / self._fps, self._frames / self._fps)

    def close(self) -> None:
        """Write what the encoder still holds, and close the file."""
        container, self._container = self._container, None
        if container is not None:
            try:
                self._write(container, self._stream.encode(None))
            finally:
                container.close()

    def info(self) -> dict[str, Any]:
        """The entries ``video.*`` of meta/info.json."""
        width, height = self._size
        return {
            "video.height": height,
            "video.width": width,
            "video.codec": _CODEC,
            "video.pix_fmt": _PIXEL_FORMAT,
            "video.fps": self._fps,
            "video.channels": 3,
            "video.g": _WHOLE_EVERY,
            "video.crf": _QUALITY,
            "video.preset": _PRESET,
            "video.fast_decode": 0,
            "video.video_backend": "pyav",
            "video.extra_options": {},
            "has_audio": False,
            "is_depth_map": False,
        }

    def _write(self, container: Any, packets: Sequence[Any]) -> None:
        self._bytes += sum(packet.size for packet in packets)
        container.mux(packets)

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault(*_LOG_ERRORS)  # the encoder writes its settings to the terminal otherwise
        self._container = self._av.open(str(self.path), "w")
        options = {"crf": str(_QUALITY), "preset": str(_PRESET), "g": str(_WHOLE_EVERY)}
        self._stream = self._container.add_stream(_ENCODER, rate=self._fps, options=options)
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt, self._stream.time_base = _PIXEL_FORMAT, Fraction(1, self._fps)
        self._frames = self._first = self._bytes = 0
