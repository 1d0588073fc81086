"""Opens a video source by its name: a file, a webcam, an image folder, a rosbag2 or the rendered clip."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hand_pose_ros.files.bounded_text import shown

if TYPE_CHECKING:
    from hand_pose_ros.video.sources import VideoSource

CLIP: Final = "clip"
"""The name by which :func:`open_source` knows the package's own rendered clip."""
BAG_SUFFIXES: Final = (".db3", ".mcap", ".bag")
_COMPRESSED_BAG_SUFFIXES: Final = (".db3.zstd", ".mcap.zstd")
_BAG_KEY: Final = "rosbag2_bagfile_information"
_LOGGER = logging.getLogger(__name__)


def open_source(
    spec: str,
    image_topic: str = "",
    report: Callable[[str], None] = _LOGGER.info,
    *,
    rectified: bool = False,
    warn: Callable[[str], None] = _LOGGER.warning,
) -> VideoSource:
    """Open what ``spec`` names: 'clip', a webcam's number, a video, an image, a folder of images or a recording.

    Args:
        image_topic: which topic of a recording to play; its first image topic with colours if empty.
        report: told how far it is, if opening takes long (the first rendering of the clip).
        rectified: the images of a recording are rectified, whatever their topic's name.
        warn: told what is wrong with the source, such as images that cannot be read.

    Raises:
        FileNotFoundError: nothing of that name.
        ValueError: it exists, but is not something that can be played; or the clip cannot be rendered here.
    """
    # Late imports: whoever needs only the names of this module needs no library.
    from hand_pose_ros.video.image_files import IMAGE_SUFFIXES, ImageFilesSource
    from hand_pose_ros.video.video_file import VideoFileSource
    from hand_pose_ros.video.webcam import WebcamSource

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
    try:
        path = Path(spec).expanduser()
        exists = bool(spec) and path.exists()
    except (OSError, RuntimeError, ValueError) as error:  # a name too long, no such user, another's folder
        raise ValueError(
            f"{shown(spec)} cannot be opened: {getattr(error, 'strerror', None) or error}"
        ) from error
    if not exists:
        raise FileNotFoundError(
            f"no video source {shown(spec)}: expected {CLIP!r}, a webcam's number, "
            "or the path of a video, an image, a folder of images or a recording"
        )
    if not path.is_dir() and not path.is_file():
        raise ValueError(f"{path} is neither a file nor a folder")
    if path.name.endswith(_COMPRESSED_BAG_SUFFIXES):
        raise ValueError(f"{path} is one compressed file of a recording: name the folder that holds it")
    bag = _bag_paths(path)
    if bag:
        from hand_pose_ros.video.bag import BagSource  # rosbags is only needed here

        return BagSource(bag, image_topic, rectified, warn)
    if path.is_dir():
        return ImageFilesSource.of_folder(path, warn)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return ImageFilesSource(str(path), [path], warn)
    return VideoFileSource(path)


def _bag_paths(path: Path) -> list[Path]:
    """What to open of a recording: its folder, or its files where that has no usable metadata; else nothing."""
    from hand_pose_ros.video.image_files import images_in

    if not path.is_dir():
        return [path] if path.suffix.lower() in BAG_SUFFIXES else []
    files = sorted(
        one for one in path.iterdir() if one.suffix.lower() in BAG_SUFFIXES and not one.name.startswith(".")
    )
    metadata = path / "metadata.yaml"
    text = ""
    if metadata.is_file():
        with metadata.open("rb") as file:
            text = file.read(1 << 20).decode(errors="replace")
    if _BAG_KEY in text and re.search(r"storage_identifier:\s*['\"]?\w", text):
        return [path]
    if files and (_BAG_KEY in text or not images_in(path)):
        return files
    return [path] if _BAG_KEY in text else []
