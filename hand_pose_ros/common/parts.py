"""Deterministic parts of a job, ``--part i/n``, for job arrays on many machines."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from hand_pose_ros.files.bounded_text import shown

MOST_PARTS: Final = 1_000_000
_TEXT: Final = re.compile(r"(\d{1,7})/(\d{1,7})", re.ASCII)

Item = TypeVar("Item")


@dataclass(frozen=True)
class Part:
    """The part ``number`` of ``count`` of a job, counted from 1; by default the whole job."""

    number: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_PARTS:
            raise ValueError(f"a job has 1 to {MOST_PARTS} parts, got {self.count}")
        if not 1 <= self.number <= self.count:
            raise ValueError(
                f"the parts of {self.count} are numbered from 1 to {self.count}, got {self.number}"
            )

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def whole(self) -> bool:
        """Whether there is no other part."""
        return self.count == 1

    def of(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return this part of ``items``: a run of neighbours; parts differ by one item at most, and may be empty.

        All parts one after the other are the items.
        """
        start, end = (len(items) * number // self.count for number in (self.number - 1, self.number))
        return items[start:end]


def parse_part(text: str) -> Part:
    """Read 'i/n', such as '3/8' for the third of eight parts.

    Raises:
        ValueError: the text is not of that form, or i is not in 1 ... n.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"a part must be i/n, such as 3/8 for the third of eight, got {shown(text)}")
    return Part(int(match.group(1)), int(match.group(2)))


def add_part_argument(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``--part`` to a command. ``what``: the things that are split."""

    def part(text: str) -> Part:
        try:
            return parse_part(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    parser.add_argument(
        "--part",
        type=part,
        default=Part(),
        metavar="I/N",
        help=f"only this part of the {what}, from 1/N to N/N, for job arrays (default: all)",
    )
