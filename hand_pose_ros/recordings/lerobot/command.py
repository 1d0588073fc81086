"""The ``hand_pose export-lerobot`` command makes a data set for learning of recordings: LeRobotDataset v3.0."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from hand_pose_ros import hand
from hand_pose_ros.files.bounded_text import shortened
from hand_pose_ros.recordings.lerobot.export import ExportOptions, export, find_bags
from hand_pose_ros.video.sources import SourceError

_MOST_FPS = 240
_MOST_ERROR = 1200
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    names = ("task", "namespace", "image", "robot", "joint_states", "command", "teleop_state")
    wanted = ExportOptions(
        fps=options.fps,
        max_age_s=options.max_age_s,
        sides=None if options.sides is None else tuple(options.sides),
        given={name: value for name in names if (value := getattr(options, name)) is not None},
    )
    try:
        bags = find_bags(options.recordings, _warn)
        episodes, frames = export(bags, options.output.resolve(), wanted, _say, _warn)
    except KeyboardInterrupt:
        sys.stderr.write("hand_pose export-lerobot: interrupted; nothing was written\n")
        return _INTERRUPTED
    except (ValueError, OSError, SourceError, ImportError) as error:
        sys.stderr.write(f"hand_pose export-lerobot: {shortened(str(error), _MOST_ERROR)}\n")
        return 1
    _say(f"{options.output}: {episodes} episodes, {frames} frames at {options.fps} fps")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hand_pose export-lerobot", description=__doc__)
    parser.add_argument(
        "recordings", nargs="+", type=Path, help="bags, or folders of bags such as `hand_pose record` writes"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the data set; must not exist")
    parser.add_argument("--fps", type=_fps, default=30, help="frames per second (default 30)")
    parser.add_argument(
        "--max-age-s", type=_age, default=0.2, help="an older hand is not valid, seconds (default 0.2)"
    )
    parser.add_argument(
        "--sides", nargs="+", choices=hand.SIDES, help="hands; by default those that were recorded"
    )
    described = parser.add_argument_group("what `hand_pose record` states, for other recordings")
    described.add_argument("--task", help="what is done, as a sentence")
    described.add_argument("--namespace", help="of the hand_estimator's topics, /hand_pose")
    described.add_argument("--image", help="topic of the images; the first with colours")
    described.add_argument("--robot", help="name of the robot")
    described.add_argument("--joint-states", help="topic of the robot's joint states")
    described.add_argument("--command", help="topic of the robot's commands")
    described.add_argument("--teleop-state", help="topic of the hand_teleop's state")
    return parser


def _fps(text: str) -> int:
    fps = int(text)
    if not 1 <= fps <= _MOST_FPS:
        raise argparse.ArgumentTypeError(f"must be 1 to {_MOST_FPS}")
    return fps


def _age(text: str) -> float:
    age_s = float(text)
    if not 0 < age_s < float("inf"):
        raise argparse.ArgumentTypeError("must be positive")
    return age_s


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _warn(text: str) -> None:
    sys.stderr.write(f"warning: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
