"""Writes the parameter tables of the documentation, from the code, between two marks in a Markdown file.

A file says where with ``<!-- parameters of hand_estimator -->`` and ``<!-- end of parameters -->``.

    python -m hand_pose_ros.ros.shared.parameter_table README.md docs/node.md
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hand_pose_ros.ros.hand_estimator.parameters import HandEstimatorParameters
from hand_pose_ros.ros.shared.parameters import NodeParameters, table
from hand_pose_ros.ros.video_player.parameters import VideoPlayerParameters

NODES: Final[dict[str, type[NodeParameters]]] = {
    "hand_estimator": HandEstimatorParameters,
    "video_player": VideoPlayerParameters,
}
_MARKS: Final = re.compile(r"(<!-- parameters of (\w+) -->\n).*?(<!-- end of parameters -->)", re.DOTALL)


def with_tables(text: str) -> str:
    """The text with the tables between its marks made anew.

    Raises:
        ValueError: a mark names no node of this package.
    """

    def filled(match: re.Match[str]) -> str:
        begin, node, end = match.groups()
        if node not in NODES:
            raise ValueError(f"there is no node {node!r}; there are {', '.join(NODES)}")
        return f"{begin}{table(NODES[node])}{end}"

    return _MARKS.sub(filled, text)


def main(arguments: Sequence[str] | None = None) -> None:
    """Bring the tables of the named files up to date."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    for path in parser.parse_args(arguments).files:
        path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
