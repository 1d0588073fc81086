"""The names of a camera's topics, by the conventions of image_transport and image_proc."""

from __future__ import annotations

from typing import Final

TRANSPORTS: Final = (
    "compressed",
    "compressedDepth",
    "theora",
    "ffmpeg",
    "zstd",
    "foxglove",
    "x264",
    "h264",
    "h265",
)


def base_topic(image_topic: str) -> str:
    """The image topic without the name of its transport: /cam/image_raw of /cam/image_raw/compressed."""
    parent, _, last = image_topic.rpartition("/")
    return parent if last in TRANSPORTS and parent else image_topic


def camera_info_topic(image_topic: str) -> str:
    """The topic of an image's calibration, which lies beside the image."""
    return f"{base_topic(image_topic).rpartition('/')[0]}/camera_info"


def is_rectified(image_topic: str) -> bool:
    """Whether a topic's name says that its images are rectified, as image_proc names them."""
    return base_topic(image_topic).rpartition("/")[2].startswith("image_rect")


def is_depth(image_topic: str) -> bool:
    """Whether a topic's name says that its images hold depth."""
    words = image_topic.lower().replace("-", "_").split("/")
    return any(word.split("_")[0] in ("depth", "aligned") or "depth" in word.split("_") for word in words)
