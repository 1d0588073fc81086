"""The command writes the tables and the file of the nodes' parameters from the code.

Markdown files get their tables between ``<!-- parameters of hand_estimator -->`` and
``<!-- end of parameters -->``; a YAML file becomes the estimator's parameter file.

    hand_pose parameters docs/use/node.md config/estimator.yaml
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hand_pose_ros.common.option_documents import table, yaml_text
from hand_pose_ros.common.options import Options
from hand_pose_ros.ros.hand_estimator.parameters import HandEstimatorParameters
from hand_pose_ros.ros.video_player.parameters import VideoPlayerParameters

NODES: Final[dict[str, type[Options]]] = {
    "hand_estimator": HandEstimatorParameters,
    "video_player": VideoPlayerParameters,
}
_MARKS: Final = re.compile(r"(<!-- parameters of (\w+) -->\n).*?(<!-- end of parameters -->)", re.DOTALL)
_HEADER: Final = """\
# Every parameter of the hand_estimator, with its default. Copy this file, change what you need, and give it to
#   ros2 launch hand_pose_ros estimator.launch.py params_file:=my_estimator.yaml
# Parameters marked (start) are read when the node starts; the others can be changed with `ros2 param set`.
#
# Keep the key /**: the bare name of the node does not match a node in a namespace, and nothing warns of it.
/**:
  ros__parameters:
"""


def parameter_file() -> str:
    """Return the text of config/estimator.yaml."""
    return _HEADER + yaml_text(HandEstimatorParameters, indent=4)


def with_tables(text: str) -> str:
    """The text with up-to-date tables between its marks.

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
    """Bring the named files up to date."""
    parser = argparse.ArgumentParser(prog="hand_pose parameters", description=main.__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    for path in parser.parse_args(arguments).files:
        text = parameter_file() if path.suffix == ".yaml" else with_tables(path.read_text(encoding="utf-8"))
        path.write_text(text, encoding="utf-8")
