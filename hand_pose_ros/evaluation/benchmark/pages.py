"""Tables of the documentation's pages on data sets: options of a reader, and published figures by protocol."""

from __future__ import annotations

import re
from typing import Final

from hand_pose_ros.common.option_documents import table
from hand_pose_ros.common.options import leaves
from hand_pose_ros.datasets.protocols import PROTOCOLS
from hand_pose_ros.datasets.published import PublishedRow, published_rows
from hand_pose_ros.datasets.registry import SETS
from hand_pose_ros.evaluation.benchmark.tables import figure_cell
from hand_pose_ros.evaluation.report import markdown_table

_MARKS: Final = re.compile(
    r"(<!-- (options|protocols) of the set (\w+) -->\n).*?(<!-- end of (?:options|protocols) -->)", re.DOTALL
)


def with_set_tables(text: str) -> str:
    """Return a page with up-to-date tables between its marks.

    Raises:
        ValueError: a mark names no set.
    """

    def filled(match: re.Match[str]) -> str:
        begin, what, name, end = match.groups()
        if name not in SETS:
            raise ValueError(f"there is no set {name!r}; there are {', '.join(SETS)}")
        return f"{begin}{options_table(name) if what == 'options' else protocols_text(name)}{end}"

    return _MARKS.sub(filled, text)


def options_table(name: str) -> str:
    """Return the options of a set's reader as a Markdown table."""
    kind = SETS[name].options_type
    if not leaves(kind):
        return "The reader has no options.\n"
    return table(kind).replace("| parameter |", "| option |", 1)


def protocols_text(name: str) -> str:
    """Return each protocol of a set: its rule, its figures, and a table of the published ones."""
    parts = []
    for protocol, one in PROTOCOLS[name].items():
        parts.append(f"`--protocol {protocol}`: {one.rule}")
        parts.append(f"Figures: {', '.join(one.figures)}.")
        rows = published_rows(name, protocol)
        parts.append(
            _published_table(rows, one.figures) if rows else "The papers print no figures by this rule."
        )
    return "\n\n".join(parts) + "\n"


def _published_table(rows: list[PublishedRow], figures: tuple[str, ...]) -> str:
    """Return the table of rows; their notes are below it, once for each source."""
    columns = [name for name in figures if any(name in row.figures for row in rows)]
    cells = [[*(figure_cell(row.figures, name) for name in columns), row.source] for row in rows]
    text = markdown_table(["method", *columns, "source"], [row.method for row in rows], cells).strip()
    notes = dict.fromkeys(f"- {row.source}: {row.note}." for row in rows if row.note)
    return "\n\n".join((text, "\n".join(notes))) if notes else text
