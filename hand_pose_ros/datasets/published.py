"""The figures that the papers publish, from ``published.json``, for the rows beside ours."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

_FILE: Final = Path(__file__).with_name("published.json")


@dataclass(frozen=True)
class PublishedRow:
    """One method in one table of a paper.

    set, protocol: keys of :data:`hand_pose_ros.datasets.protocols.PROTOCOLS`. source: paper and table.
    figures: of the protocol's, those that the table has. note: what else to know of them.
    """

    set: str
    protocol: str
    source: str
    method: str
    figures: dict[str, float]
    note: str = ""


def published_rows(name: str, protocol: str) -> list[PublishedRow]:
    """Return the rows of a set's protocol, in the order of the papers' tables."""
    return [row for row in _rows() if (row.set, row.protocol) == (name, protocol)]


@cache
def _rows() -> tuple[PublishedRow, ...]:
    return tuple(PublishedRow(**row) for row in json.loads(_FILE.read_text(encoding="utf-8"))["rows"])
