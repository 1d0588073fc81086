"""The module inspects the demo's source before anything starts, so that a wrong name fails at once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from hand_pose_ros.video.open import CLIP, open_source

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class DemoSource:
    """A source of the demo.

    spec: the parameter ``source`` of ``video_player``. name: for messages.
    rate_hz: None for a live source. frames: their number; None if live or unknown.
    calibrated: whether it brings its camera's calibration; False for a webcam.
    """

    spec: str
    name: str
    rate_hz: float | None
    frames: int | None
    calibrated: bool

    @property
    def is_clip(self) -> bool:
        """Whether the truth is known."""
        return self.spec == CLIP


def inspect_source(
    spec: str, report: Callable[[str], None], image_topic: str = "", say: Callable[[str], None] | None = None
) -> DemoSource:
    """Open the source that ``spec`` names and read its first image.

    Args:
        report: receives the progress of rendering the clip, if it is not in the cache yet.
        image_topic: of a recording; its first one with colours if empty.
        say: receives what is wrong with the source; the log by default.

    Raises:
        FileNotFoundError: nothing of that name.
        ValueError: it exists, but cannot be played.
        SourceError: its first image cannot be read.
    """
    spec = spec.strip()
    if spec.isdecimal():  # not opened: a webcam gives its images to one process only
        return DemoSource(spec, f"webcam {spec}", None, None, calibrated=False)
    source = open_source(spec, image_topic, report, warn=say or _LOGGER.warning)
    try:
        first = source.read()
        if first is None:
            raise ValueError(f"{source.name} holds no images")
        rate_hz, duration_s = source.rate_hz, source.duration_s
        frames = None if rate_hz is None or duration_s is None else round(duration_s * rate_hz)
        return DemoSource(spec, source.name, rate_hz, frames, first.camera is not None)
    finally:
        source.close()
