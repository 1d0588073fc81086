"""Opens a video source by its name: a file, a webcam, an image folder, a rosbag2 or the rendered clip."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hand_pose_ros.video.sources import ImageFolderSource, VideoFileSource, VideoSource, WebcamSource

CLIP: Final = "clip"
"""The name by which :func:`open_source` knows the package's own rendered clip."""
BAG_SUFFIXES: Final = (".db3", ".mcap")
_LOGGER = logging.getLogger(__name__)


def open_source(
    spec: str, image_topic: str = "", report: Callable[[str], None] = _LOGGER.info
) -> VideoSource:
    """Open what ``spec`` names: 'clip', a webcam's number, a video file, a folder of images or a rosbag2.

    Args:
        image_topic: which topic of a rosbag2 to play; its first image topic if empty.
        report: told how far it is, if opening takes long (the first rendering of the clip).

    Raises:
        FileNotFoundError: nothing of that name.
        ValueError: it exists, but is not something that can be played; or the clip cannot be rendered here.
    """
    spec = spec.strip()
    if spec == CLIP:
        from hand_pose_ros.rendering.rays import RendererUnavailableError
        from hand_pose_ros.video.clip import ClipSource  # the renderer is only needed here

        try:
            return ClipSource(report)
        except RendererUnavailableError as error:
            raise ValueError(
                f"the clip cannot be rendered: {error}. Play a video, a webcam or a bag"
            ) from error
    if spec.isdecimal():
        return WebcamSource(int(spec))
    path = Path(spec).expanduser()
    if not spec or not path.exists():
        raise FileNotFoundError(
            f"no video source {spec!r}: expected {CLIP!r}, a webcam's number, "
            "or the path of a video file, a folder of images or a rosbag2"
        )
    if path.suffix in BAG_SUFFIXES or (path.is_dir() and _holds_bag(path)):
        from hand_pose_ros.video.bag import BagSource  # rosbags is only needed here

        return BagSource(path, image_topic)
    return ImageFolderSource(path) if path.is_dir() else VideoFileSource(path)


def _holds_bag(folder: Path) -> bool:
    return any(file.name == "metadata.yaml" or file.suffix in BAG_SUFFIXES for file in folder.iterdir())
