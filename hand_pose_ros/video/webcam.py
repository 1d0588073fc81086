"""A camera of this machine as a source."""

from __future__ import annotations

import cv2

from hand_pose_ros.video.sources import SourceError, VideoFrame


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
        """See :class:`~hand_pose_ros.video.sources.VideoSource`."""
        good, image = self._capture.read()
        if not good:
            raise SourceError(f"{self.name} no longer delivers images")
        return VideoFrame(image, None)

    def seek(self, time_s: float) -> None:
        """See :class:`~hand_pose_ros.video.sources.VideoSource`."""
        if time_s > 0:
            raise ValueError(f"{self.name} is live: it cannot start at {time_s} s")

    def close(self) -> None:
        """See :class:`~hand_pose_ros.video.sources.VideoSource`."""
        self._capture.release()
