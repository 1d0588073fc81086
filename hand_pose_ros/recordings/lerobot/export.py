"""The export of recordings: which bags there are, the columns they have in common, and the data set of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from hand_pose_ros import hand
from hand_pose_ros.recordings.episode import Episode
from hand_pose_ros.recordings.lerobot.dataset import DatasetWriter
from hand_pose_ros.recordings.lerobot.features import DatasetLayout
from hand_pose_ros.recordings.lerobot.frames import (
    EpisodeReport,
    frame_images,
    frame_times,
    frame_values,
    report,
)


@dataclass(frozen=True)
class ExportOptions:
    """Rate, limits and names of an export.

    fps: frames per second. max_age_s: an older hand is not valid.
    sides: of the hands; None for those that were recorded.
    given: values that replace those of the recorder's description.
    """

    fps: int = 30
    max_age_s: float = 0.2
    sides: tuple[str, ...] | None = None
    given: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Contents:
    """The data that at least one of the recordings has."""

    sides: tuple[str, ...]
    state: bool
    action: bool
    following: bool


def find_bags(paths: Sequence[Path], warn: Callable[[str], None]) -> list[Path]:
    """The bags that paths name: a bag's folder or file, or a folder of bags, in order of their names.

    Args:
        warn: told which folders of a folder of bags are left out, since their recording did not end.

    Raises:
        ValueError: there is no such path, or no bag in it.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise ValueError(f"there is no {path}")
        if path.is_file() or (path / "metadata.yaml").exists() or any(path.glob("*.mcap")):
            found.append(path)
            continue
        inside = sorted(child for child in path.iterdir() if child.is_dir() and any(child.glob("*.mcap")))
        for child in inside:
            if not (child / "metadata.yaml").exists():
                warn(f"{child} is left out: its recording did not end (there is no metadata.yaml)")
        inside = [child for child in inside if (child / "metadata.yaml").exists()]
        if not inside:
            raise ValueError(f"{path} holds no recording")
        found += inside
    return found


def export(
    bags: Sequence[Path],
    output: Path,
    options: ExportOptions,
    say: Callable[[str], None],
    warn: Callable[[str], None],
) -> tuple[int, int]:
    """Write a data set with an episode for each bag; returns the numbers of episodes and frames.

    Args:
        output: folder of the data set; must not exist.
        say: told of each episode. warn: told what is wrong with the recordings.

    Raises:
        ValueError: a bag cannot be read, has no task, or does not fit the others; no bag has a frame.
        ImportError: PyArrow or PyAV is not installed.
    """
    if output.exists():
        raise ValueError(f"{output} exists already")
    contents = _contents(bags, options, warn)
    with ExitStack() as stack:
        writer: DatasetWriter | None = None
        for bag in bags:
            with Episode(bag, options.given, warn) as episode:
                episode.read()
                times_ns = frame_times(episode, options.fps, contents.state, contents.action)
                if not len(times_ns):
                    warn(f"{bag} is left out: {_why_empty(episode, contents)}")
                    continue
                if not episode.description.task:
                    raise ValueError(f"{bag} states no task: name it by --task")
                images = frame_images(episode, times_ns)
                if writer is None:
                    first = next(images)
                    images = chain([first], images)
                    layout = _layout(episode, contents, (first.shape[1], first.shape[0]))
                    robot = episode.description.robot or None
                    writer = stack.enter_context(DatasetWriter(output, layout, options.fps, robot))
                elif episode.camera() != writer.layout.camera:
                    warn(f"{bag}: its camera's calibration is not that of the first episode, which is stated")
                try:
                    values = frame_values(episode, writer.layout, times_ns, options.max_age_s)
                    writer.add_episode(episode.description.task, values, images, len(times_ns))
                except ValueError as error:
                    raise ValueError(f"{bag}: {error}") from error
                say(f"{bag}: {_report_text(report(episode, writer.layout, times_ns, values), episode)}")
        if writer is None:
            raise ValueError("no recording has a frame")
    return writer.episodes, writer.total_frames


def _contents(bags: Sequence[Path], options: ExportOptions, warn: Callable[[str], None]) -> _Contents:
    """Look which topics have messages, from the recordings' indices."""
    sides: set[str] = set()
    state = action = following = False
    for bag in bags:
        with Episode(bag, options.given, lambda _: None) as episode:
            described = episode.description
            sides |= {side for side in hand.SIDES if episode.has_hand(side)}
            state |= episode.has(described.joint_states)
            action |= episode.has(described.command)
            following |= episode.has(described.teleop_state)
    if not sides:
        warn("no recording has the joints of a hand: see --namespace")
    chosen = tuple(side for side in hand.SIDES if side in sides) if options.sides is None else options.sides
    return _Contents(chosen, state, action, following)


def _layout(episode: Episode, contents: _Contents, size: tuple[int, int]) -> DatasetLayout:
    state = episode.state.names if contents.state and episode.state is not None else ()
    action = episode.command.names if contents.action and episode.command is not None else ()
    return DatasetLayout(size, contents.sides, state, action, contents.following, episode.camera())


def _why_empty(episode: Episode, contents: _Contents) -> str:
    for needed, series, what in (
        (contents.state, episode.state, "state of the robot"),
        (contents.action, episode.command, "command"),
    ):
        if needed and (series is None or series.known_from_ns is None):
            return f"no {what} was recorded for all joints"
    return "no image was recorded after the robot's state and its first command"


def _report_text(found: EpisodeReport, episode: Episode) -> str:
    parts = [f"{found.frames} frames"]
    parts += [f"{side} hand in {100 * share:.0f} %" for side, share in found.hands.items()]
    ages = ", ".join(f"{what} {age_s:.3f} s" for what, age_s in found.oldest_s.items())
    parts.append(f"largest age: {ages}")
    if episode.skipped:
        parts.append(f"{episode.skipped} messages could not be read")
    return "; ".join(parts)
