"""The ``hand_pose dataset`` command: it shows and checks the labels of a public data set, or converts them."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import yaml
from tqdm import tqdm

from hand_pose_ros.common.option_documents import help_text
from hand_pose_ros.common.options import leaves
from hand_pose_ros.common.parts import Part, add_part_argument
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.datasets.labelled_set import MALFORMED, LabelledSet
from hand_pose_ros.datasets.registry import SETS, open_set
from hand_pose_ros.datasets.storage.files import MalformedFileError
from hand_pose_ros.files.atomic_file import atomic_path
from hand_pose_ros.hand_images.labelled.checks import check_labels
from hand_pose_ros.hand_images.labelled.convert import convert
from hand_pose_ros.hand_images.labelled.sheet import labelled_sheet
from hand_pose_ros.hand_images.shards import save_shard

SHARD: Final = 1024
"""Hands in a shard, before some are left out."""
FIRST_SOURCE: Final = 1000
"""Number, in the field ``source``, of the first set of ``SETS``; the others follow."""
_MOST_CHECKED: Final = 1000


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        hands = open_set(options.set, options.path, parse_options(options.option), options.malformed)
        text = (
            show(hands, options.output, options.count) if options.verb == "show" else _convert(hands, options)
        )
    except (ValueError, FileExistsError) as error:
        sys.stderr.write(f"hand_pose dataset: {error}\n")
        return 2
    sys.stdout.write(text + "\n")
    return 0


def show(hands: LabelledSet[Any], output: Path | None, count: int) -> str:
    """Check up to a thousand hands, evenly from the set, and draw ``count`` of them; returns the findings.

    Raises:
        MalformedFileError: a file is missing or malformed.
    """
    checked = [hands[number] for number in spread(len(hands), _MOST_CHECKED)]
    if output is not None:
        shown = [checked[number] for number in spread(len(checked), count)]
        captions = [f"{one.side} {one.sequence} {one.frame}".replace("  ", " ") for one in shown]
        sheet = labelled_sheet(shown, [one.points_px for one in shown], captions)
        with atomic_path(output) as unfinished:
            unfinished.write_bytes(cv2.imencode(output.suffix or ".jpg", sheet)[1].tobytes())
    left_out = f"\nleft out of the index: {len(hands.skipped)}" if hands.skipped else ""
    return (
        f"{hands.title}: {len(hands)} hands, of which were checked:\n{check_labels(checked).text()}{left_out}"
    )


def write_shards(
    hands: LabelledSet[Any],
    output: Path,
    seed: int = Seed.ARBITRARY,
    in_2d: bool = False,
    part: Part | None = None,
) -> tuple[int, Counter[str]]:
    """Convert a set to shards in random order, or a part of these shards; returns the number of hands, and how
    often which reason left one out.

    Raises:
        MalformedFileError: a file is missing or malformed, and that is fatal.
        FileExistsError: a shard exists already.
    """
    order = np.random.default_rng(seed).permutation(len(hands))
    made, reasons = 0, Counter[str]()
    source = FIRST_SOURCE + list(SETS).index(hands.name)
    numbers = (part or Part()).of(range(-(-len(order) // SHARD)))
    for number in tqdm(numbers, unit="shard", disable=None):
        start, chosen = number * SHARD, []
        for row in np.sort(order[start : start + SHARD]).tolist():
            try:
                one = hands[row]
                one.image()
                chosen.append(one)
            except MalformedFileError as error:
                if not hands.tolerant:
                    raise
                reasons[f"malformed: {error.path.name}"] += 1
        converted = convert(chosen, source, in_2d)
        reasons.update(converted.reasons)
        made += converted.images.count
        if converted.images.count:
            settings = {
                "made_by": "hand_pose dataset convert",
                "set": hands.name,
                "options": hands.options.flat(),
            }
            save_shard(output / f"{hands.name}_{number:04d}", converted.images, seed, settings)
    return made, reasons


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


def _convert(hands: LabelledSet[Any], options: argparse.Namespace) -> str:
    made, reasons = write_shards(hands, options.output, options.seed, options.in_2d, options.part)
    lines = [f"{made} of {len(hands)} hands in {options.output}"]
    lines += [f"left out: {count} since {reason}" for reason, count in reasons.most_common()]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hand_pose dataset",
        description=(__doc__ or "").split("\n")[0],
        epilog=set_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("show", help="count and check the labels, and draw some")
    add_set_arguments(one)
    one.add_argument("--output", type=Path, help="image file of the sheet")
    one.add_argument("--count", type=int, default=20, help="hands on the sheet")
    one = verbs.add_parser("convert", help="write hand images for training")
    add_set_arguments(one)
    one.add_argument("--to", choices=("shards",), default="shards", help="format")
    one.add_argument("--in-2d", action="store_true", help="also hands that are labelled in 2D only")
    one.add_argument("--output", type=Path, required=True, help="folder of the shards")
    one.add_argument("--seed", type=int, default=Seed.ARBITRARY.value, help="of the order of the hands")
    add_part_argument(one, "shards")
    return parser
