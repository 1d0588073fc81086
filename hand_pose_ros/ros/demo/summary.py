"""The module writes the output files of the demo and the text that describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hand_pose_ros.ros.demo.accuracy import accuracy
from hand_pose_ros.ros.demo.images import write_images
from hand_pose_ros.ros.demo.recording import Recording, read_recording
from hand_pose_ros.ros.demo.robot.demo_robot import DemoRobot
from hand_pose_ros.ros.demo.robot.summary import robot_result, robot_topics
from hand_pose_ros.ros.demo.source import DemoSource

_CLIP_SIDE: Final = "right"
_STAGES: Final = ("detect", "estimate", "smooth", "place", "publish")
_STAMP_TO_PUBLICATION: Final = "stamp to publication"


@dataclass(frozen=True)
class OutputFiles:
    """Paths of the output in ``folder``."""

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
        """Make the folder; remove the video and contact sheet of an earlier run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in (self.video, self.image):
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Outcome:
    """Result of the playing.

    latencies: values of the estimator's last latency status. complete: the source was played to its end; only
    then frames can be matched with the truth. slow_motion: factor by which a robot's limits were slowed.
    """

    latencies: Mapping[str, str]
    seconds: float
    complete: bool
    slow_motion: float = 1.0


def latency_text(latencies: Mapping[str, str]) -> str:
    """Return median times of the stages and the whole from the latency status; empty without values."""
    medians = {name: latencies.get(f"{name} median (ms)", "") for name in (*_STAGES, _STAMP_TO_PUBLICATION)}
    if not all(medians.values()):
        return ""
    shown = {name: f"{float(value):.0f}" for name, value in medians.items()}
    stages = " + ".join(f"{name} {shown[name]}" for name in _STAGES)
    return f"{stages} ms, {_STAMP_TO_PUBLICATION} {shown[_STAMP_TO_PUBLICATION]} ms"


def write_outputs(
    files: OutputFiles,
    source: DemoSource,
    namespace: str,
    outcome: Outcome,
    robot: DemoRobot | None = None,
) -> tuple[str, bool]:
    """Make video and contact sheet of the recording; return text for the user and whether a hand was found."""
    recording = read_recording(files.bag, namespace)
    result = None
    if robot is not None:
        topics = robot_topics(robot, namespace)
        result = robot_result(files.bag, recording, robot, topics, outcome.slow_motion)
    compose = None if result is None else result.panel.beside
    shown = write_images(recording, files.video, files.image, source.rate_hz, compose)
    hand_found = any(recording.found(stamp) for stamp in recording.processed_stamps_ns)
    parts = [_played_text(recording, source, outcome)]
    if not hand_found:
        parts.append("No hand was found in any frame.")
    elif source.is_clip and outcome.complete:
        parts.append(_error_text(recording))
    elif source.is_clip:
        parts.append("The playing ended early, so the error against the truth is unknown.")
    if result is not None and robot is not None:
        parts.append(f"The robot hand {robot.profile.name}:\n{result.report()}")
    parts.append("Files:")
    if shown:
        parts.append(f"  {_short(files.video)}   what was seen, {shown} frames")
        parts.append(f"  {_short(files.image)}   some of them")
    bag = _short(files.bag / f"{files.bag.name}.mcap")
    parts.append(f"  {bag}   all topics, for Foxglove; or `ros2 bag play '{_short(files.bag)}'` beside RViz")
    return "\n".join(parts), hand_found


def _played_text(recording: Recording, source: DemoSource, outcome: Outcome) -> str:
    processed, images = len(recording.processed_stamps_ns), len(recording.frame_stamps_ns)
    share = processed / images if images else 0.0
    lines = [
        f"Processed {processed} of {images} frames ({share:.1%}) in {outcome.seconds:.1f} s, "
        f"{processed / max(outcome.seconds, 1e-9):.1f} per second."
    ]
    if source.rate_hz is not None and outcome.seconds > 1.1 * images / source.rate_hz + 1:
        lines.append(
            f"The source has {source.rate_hz:.4g} per second; it was played slowly enough for this machine "
            "to process every frame.\nFrom a camera, only the newest frame is processed; older ones are dropped."
        )
    if text := latency_text(outcome.latencies):
        lines.append(f"Latency, median: {text}.")
    return "\n".join(lines)


def _short(path: Path) -> str:
    """Return the path relative to the current folder, if it lies below."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _error_text(recording: Recording) -> str:
    from hand_pose_ros.rendering.clip import clip_joints  # the renderer is only needed here

    try:
        result = accuracy(recording, clip_joints(_CLIP_SIDE).numpy(), _CLIP_SIDE)
    except ValueError as error:
        return f"The error against the truth is unknown: {error}."
    return "Error against the known truth:\n" + result.report()
