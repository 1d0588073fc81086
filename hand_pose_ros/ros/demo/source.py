"""What the demo plays: looked at before anything is started, so that a wrong name is told at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hand_pose_ros.video.open import CLIP, open_source


@dataclass(frozen=True)
class DemoSource:
    """spec: as ``video_player`` takes it. name: for people.

    rate_hz: None for a live source. frames: how many it has; None if live or unknown.
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


def inspect_source(spec: str, report: Callable[[str], None]) -> DemoSource:
    """Look at what ``spec`` names.

    Args:
        report: told how far the rendering of the clip is, if it is not in the cache yet.

    Raises:
        FileNotFoundError: nothing of that name.
        ValueError: it exists, but cannot be played.
        SourceError: its first image cannot be read.
    """
    spec = spec.strip()
    if spec.isdecimal():  # not opened: a webcam gives its images to one process only
        return DemoSource(spec, f"webcam {spec}", None, None, calibrated=False)
    source = open_source(spec, report=report)
    try:
        first = source.read()
        if first is None:
            raise ValueError(f"{source.name} holds no images")
        duration_s, rate_hz = source.duration_s, source.rate_hz
        frames = None if duration_s is None or rate_hz is None else round(duration_s * rate_hz)
        return DemoSource(spec, source.name, source.rate_hz, frames, first.camera is not None)
    finally:
        source.close()
