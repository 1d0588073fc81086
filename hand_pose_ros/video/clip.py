"""The package's rendered clip as a video source: rendered once, which takes a while, then kept in a cache."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2

import hand_pose_ros
from hand_pose_ros.files.user_cache import made_once
from hand_pose_ros.rendering.clip import CLIP_CAMERA, CLIP_DURATION_S, FRAME_RATE_HZ, render_clip
from hand_pose_ros.video.sources import VideoFrame
from hand_pose_ros.video.video_file import VideoFileSource

_CLIP_FILE: Final = "clip.avi"
_JPEG_QUALITY: Final = 95
_REPORT_EVERY: Final = 30
# What the pictures depend on: the clip is rendered again when one of these changes.
_MADE_BY: Final = ("rendering", "mesh", "kinematics", "camera", "hand.py", "gestures.py")


class ClipSource(VideoFileSource):
    """The rendered clip, with the camera that it was rendered for."""

    def __init__(self, report: Callable[[str], None]) -> None:
        super().__init__(clip_video(report))
        self.name = "the rendered clip"

    def read(self) -> VideoFrame | None:
        """See :class:`hand_pose_ros.video.sources.VideoSource`."""
        frame = super().read()
        return None if frame is None else replace(frame, camera=CLIP_CAMERA)


def clip_video(report: Callable[[str], None]) -> Path:
    """Path of the clip as a video file, rendered if it is not in the user's cache.

    Args:
        report: told now and then how far the rendering is.

    Raises:
        OSError: neither the cache nor a temporary folder can be written to.
    """
    digest = _digest()
    name = f"clip-{digest[:16]}"
    folder = made_once(
        name, {"code": digest}, lambda folder: _render(folder / _CLIP_FILE, report), "clip[-_]*"
    )
    return folder / _CLIP_FILE


def _render(path: Path, report: Callable[[str], None]) -> None:
    size = (CLIP_CAMERA.width, CLIP_CAMERA.height)
    fourcc = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), cv2.CAP_OPENCV_MJPEG, fourcc, FRAME_RATE_HZ, size)
    if not writer.isOpened():
        raise OSError(f"cannot write {path}")
    writer.set(cv2.VIDEOWRITER_PROP_QUALITY, _JPEG_QUALITY)
    try:
        for number, frame in enumerate(render_clip()):
            if number % _REPORT_EVERY == 0:
                report(f"rendering the clip, once: {frame.stamp_s / CLIP_DURATION_S:.0%}")
            writer.write(frame.rendering.image)
    finally:
        writer.release()


def _digest() -> str:
    total = hashlib.sha256()
    root = Path(hand_pose_ros.__file__).parent
    for name in _MADE_BY:
        for path in sorted((root / name).rglob("*")) if (root / name).is_dir() else [root / name]:
            if path.suffix in (".py", ".npz"):
                total.update(path.read_bytes())
    return total.hexdigest()
