"""The files that the demo leaves behind, and the text that says what is in them and how good it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hand_pose_ros.ros.demo.accuracy import accuracy
from hand_pose_ros.ros.demo.images import write_images
from hand_pose_ros.ros.demo.recording import Recording, read_recording
from hand_pose_ros.ros.demo.source import DemoSource

_CLIP_SIDE: Final = "right"
_STAGES: Final = ("detect", "estimate", "smooth", "place", "publish")
_STAMP_TO_PUBLICATION: Final = "stamp to publication"


@dataclass(frozen=True)
class OutputFiles:
    """Where everything goes: ``folder``, made if it is not there."""

    folder: Path

    @property
    def video(self) -> Path:
        """The annotated video."""
        return self.folder / "hands.mp4"

    @property
    def image(self) -> Path:
        """The contact sheet."""
        return self.folder / "hands.jpg"

    @property
    def bag(self) -> Path:
        """The recording, a folder."""
        return self.folder / "bag"

    def prepare(self) -> None:
        """Make the folder, without the video and picture of an earlier run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in (self.video, self.image):
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Outcome:
    """How the playing went.

    latencies: values of the estimator's last latency status. complete: the source was played to its end; only
    then it is known which frame is which.
    """

    latencies: Mapping[str, str]
    seconds: float
    complete: bool


def latency_text(latencies: Mapping[str, str]) -> str:
    """The stages and the whole, from the values of the estimator's latency status; empty if there are none yet."""
    medians = {name: latencies.get(f"{name} median (ms)", "") for name in (*_STAGES, _STAMP_TO_PUBLICATION)}
    if not all(medians.values()):
        return ""
    shown = {name: f"{float(value):.0f}" for name, value in medians.items()}
    stages = " + ".join(f"{name} {shown[name]}" for name in _STAGES)
    return f"{stages} ms, {_STAMP_TO_PUBLICATION} {shown[_STAMP_TO_PUBLICATION]} ms"


def write_outputs(
    files: OutputFiles, source: DemoSource, namespace: str, outcome: Outcome
) -> tuple[str, bool]:
    """Make video and picture out of the recording; return the text for the user, and whether there was a hand."""
    recording = read_recording(files.bag, namespace)
    shown = write_images(recording, files.video, files.image, source.rate_hz)
    hand_found = any(recording.found(stamp) for stamp in recording.shown_stamps_ns)
    parts = [_played_text(recording, source, outcome)]
    if not hand_found:
        parts.append("No hand was found in any frame.")
    elif source.is_clip and outcome.complete:
        parts.append(_error_text(recording))
    elif source.is_clip:
        parts.append("The playing was ended early, so that no error against the truth is given.")
    parts.append("Files:")
    if shown:
        parts.append(f"  {_short(files.video)}   what was seen, {shown} frames")
        parts.append(f"  {_short(files.image)}   some of them")
    bag = _short(files.bag / f"{files.bag.name}.mcap")
    parts.append(f"  {bag}   all topics, for Foxglove; or `ros2 bag play '{_short(files.bag)}'` beside RViz")
    return "\n".join(parts), hand_found


def _played_text(recording: Recording, source: DemoSource, outcome: Outcome) -> str:
    shown, images = len(recording.shown_stamps_ns), len(recording.frame_stamps_ns)
    share = shown / images if images else 0.0
    lines = [
        f"Processed {shown} of {images} frames ({share:.1%}) in {outcome.seconds:.1f} s, "
        f"{shown / max(outcome.seconds, 1e-9):.1f} per second."
    ]
    if source.rate_hz is not None and outcome.seconds > 1.1 * images / source.rate_hz + 1:
        lines.append(
            f"The source has {source.rate_hz:.4g} per second; it was played as slowly as this machine needs to "
            "see every frame.\nOf a camera the newest frame is taken; those that come meanwhile are passed over."
        )
    if text := latency_text(outcome.latencies):
        lines.append(
            f"Latency, median: {text}; most of publish is overlay and mesh, made for subscribers only."
        )
    return "\n".join(lines)


def _short(path: Path) -> str:
    """The path from where the user is, if it lies below."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _error_text(recording: Recording) -> str:
    from hand_pose_ros.rendering.clip import clip_joints  # the renderer is only needed here

    try:
        result = accuracy(recording, clip_joints(_CLIP_SIDE).numpy(), _CLIP_SIDE)
    except ValueError as error:
        return f"The error against the truth cannot be told: {error}."
    return "Error against the known truth:\n" + result.report()
