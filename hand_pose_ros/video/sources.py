"""The interface of video sources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from hand_pose_ros.camera.model import CameraModel

DEFAULT_RATE_HZ: Final = 30.0
"""Rate of what has none of its own: image folders, and files that do not state it."""


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
