"""The ``hand_pose dataset`` command: it shows and checks the labels of a public data set, or converts them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import yaml

from hand_pose_ros.common.option_documents import help_text
from hand_pose_ros.common.options import leaves
from hand_pose_ros.common.parts import add_part_argument
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.datasets.labelled_set import MALFORMED, LabelledSet
from hand_pose_ros.datasets.registry import SETS, open_set
from hand_pose_ros.datasets.storage.files import MalformedFileError
from hand_pose_ros.files.atomic_file import atomic_path
from hand_pose_ros.hand_images.labelled.checks import check_labels
from hand_pose_ros.hand_images.labelled.convert import IN_2D, IN_3D, IN_ANY
from hand_pose_ros.hand_images.labelled.sheet import labelled_sheet
from hand_pose_ros.hand_images.labelled.write import write_shards

_MOST_CHECKED: Final = 1000
_SHEETS: Final = (".jpg", ".png")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        hands = open_set(options.set, options.path, parse_options(options.option), options.malformed)
        if options.verb == "show":
            text = show(hands, options.output, options.count)
            made = len(hands)
        else:
            made, text = _convert(hands, options)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"hand_pose dataset: {error}\n")
        return 2
    sys.stdout.write(text + "\n")
    return 0 if made or not options.part.whole else 1


def show(hands: LabelledSet[Any], output: Path | None, count: int) -> str:
    """Check up to a thousand hands, evenly from the set, and draw ``count`` of them; returns the findings.

    Raises:
        MalformedFileError: a file is missing or malformed, and that is fatal.
        ValueError: the name of the output is not that of an image. OSError: it cannot be written.
    """
    checked, unreadable = [], 0
    for number in spread(len(hands), _MOST_CHECKED):
        try:
            checked.append(hands[number])
        except MalformedFileError:
            if not hands.tolerant:
                raise
            unreadable += 1
    lines = [f"{hands.title}: {len(hands)} hands, of which were checked:", check_labels(checked).text()]
    missing = [one.path for one in checked if not one.path.is_file()]
    if missing:
        lines.append(f"WITHOUT AN IMAGE: {len(missing)} hands, the first: {missing[0]}")
    if unreadable or hands.skipped:
        lines.append(
            f"left out of the index: {len(hands.skipped)}; not readable of those checked: {unreadable}"
        )
    if output is not None:
        drawn = [one for one in checked if one.path.is_file()] if hands.tolerant else checked
        shown = [drawn[number] for number in spread(len(drawn), count)]
        if not shown:
            raise ValueError(f"{hands.folder}: no image of a hand can be drawn\n" + "\n".join(lines))
        captions = [
            f"{one.side} {one.sequence.rpartition('/')[2]} {one.frame}".replace("  ", " ") for one in shown
        ]
        sheet = labelled_sheet(shown, [one.points_px for one in shown], captions)
        with atomic_path(output) as unfinished:
            unfinished.write_bytes(cv2.imencode(output.suffix, sheet)[1].tobytes())
    return "\n".join(lines)


def spread(total: int, count: int) -> list[int]:
    """Return up to ``count`` numbers below ``total``, evenly spaced."""
    return np.unique(np.linspace(0, total - 1, min(total, count)).round().astype(int)).tolist()


def parse_options(assignments: Sequence[str]) -> dict[str, Any]:
    """Return the values of ``name=value`` texts; a value is read as YAML.

    Raises:
        ValueError: a text has no name or value.
    """
    values = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise ValueError(f"an option must be name=value, got {text!r}")
        values[name] = yaml.safe_load(value)
    return values


def add_set_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that open a set."""
    parser.add_argument("set", choices=tuple(SETS), help="data set")
    parser.add_argument("path", type=Path, help="folder where its own layout begins")
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="option of the reader; see below"
    )
    parser.add_argument(
        "--malformed", choices=MALFORMED, default=MALFORMED[0], help="what malformed or missing files are"
    )


def set_help() -> str:
    """Return the options of every set, for ``--help``."""
    lines = []
    for name, reader in SETS.items():
        lines.append(f"{name}: {reader.title}")
        if leaves(reader.options_type):
            lines.append(help_text(reader.options_type))
    return "options of the sets (--option name=value):\n\n" + "\n".join(lines)


def _convert(hands: LabelledSet[Any], options: argparse.Namespace) -> tuple[int, str]:
    """Convert; returns the number of hands, and the report."""
    made, reasons = write_shards(hands, options.output, options.seed, options.labels, options.part)
    lines = [f"{made} of {len(hands)} hands in {options.output}"]
    lines += [f"left out: {count} since {reason}" for reason, count in reasons.most_common()]
    return made, "\n".join(lines)


def _sheet_path(text: str) -> Path:
    """Return the path of an image file, for the parser of arguments."""
    path = Path(text)
    if path.suffix.lower() not in _SHEETS:
        raise argparse.ArgumentTypeError(f"{text!r} must end in one of {', '.join(_SHEETS)}")
    return path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hand_pose dataset",
        description=(__doc__ or "").split("\n")[0],
        epilog=set_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    texts: dict[str, Any] = {"epilog": set_help(), "formatter_class": argparse.RawDescriptionHelpFormatter}
    one = verbs.add_parser("show", help="count and check the labels, and draw some", **texts)
    add_set_arguments(one)
    one.add_argument("--output", type=_sheet_path, help=f"image file of the sheet: {', '.join(_SHEETS)}")
    one.add_argument("--count", type=int, default=20, help="hands on the sheet")
    one = verbs.add_parser("convert", help="write hand images for training", **texts)
    add_set_arguments(one)
    one.add_argument("--to", choices=("shards",), default="shards", help="format")
    in_2d = one.add_mutually_exclusive_group()
    in_2d.add_argument(
        "--in-2d",
        dest="labels",
        action="store_const",
        const=IN_ANY,
        default=IN_3D,
        help="also hands that are labelled in 2D only",
    )
    in_2d.add_argument(
        "--only-2d",
        dest="labels",
        action="store_const",
        const=IN_2D,
        help="all hands, by their 2D labels only",
    )
    one.add_argument("--output", type=Path, required=True, help="folder of the shards")
    one.add_argument("--seed", type=int, default=Seed.ARBITRARY.value, help="of the order of the hands")
    add_part_argument(one, "shards")
    return parser
