"""The command writes the tables and the files of the nodes' parameters from the code.

Markdown files get their tables between ``<!-- parameters of hand_estimator -->`` and
``<!-- end of parameters -->``; ``estimator.yaml`` and ``teleop.yaml`` become the parameter files of these nodes.

    hand_pose parameters docs/use/node.md docs/use/teleoperation.md config/estimator.yaml config/teleop.yaml

Pages on data sets get the tables of :mod:`hand_pose_ros.evaluation.benchmark.pages` between marks of theirs.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hand_pose_ros.common.option_documents import table, yaml_text
from hand_pose_ros.common.options import Options
from hand_pose_ros.evaluation.benchmark.pages import with_set_tables
from hand_pose_ros.ros.hand_estimator.parameters import HandEstimatorParameters
from hand_pose_ros.ros.robot_simulator.parameters import RobotSimulatorParameters
from hand_pose_ros.ros.teleop.parameters import TeleopParameters
from hand_pose_ros.ros.video_player.parameters import VideoPlayerParameters

NODES: Final[dict[str, type[Options]]] = {
    "hand_estimator": HandEstimatorParameters,
    "video_player": VideoPlayerParameters,
    "hand_teleop": TeleopParameters,
    "robot_simulator": RobotSimulatorParameters,
}
PARAMETER_FILES: Final = {"estimator.yaml": "hand_estimator", "teleop.yaml": "hand_teleop"}
"""Name of a file in config/ -> the node whose parameters it has."""
_MARKS: Final = re.compile(r"(<!-- parameters of (\w+) -->\n).*?(<!-- end of parameters -->)", re.DOTALL)
_HEADER: Final = """\
# Every parameter of the {node}, with its default. Copy this file, change what you need, and give it to
#   ros2 launch hand_pose_ros {stem}.launch.py {argument}:=my_{stem}.yaml
# Parameters marked (start) are read when the node starts; the others can be changed with `ros2 param set`.
#
# Keep the key /**: the bare name of the node does not match a node in a namespace, and nothing warns of it.
/**:
  ros__parameters:
"""


def parameter_file(name: str = "estimator.yaml") -> str:
    """Return the text of a file of config/.

    Raises:
        ValueError: it is none of :data:`PARAMETER_FILES`.
    """
    if name not in PARAMETER_FILES:
        raise ValueError(f"there is no parameter file {name!r}; there are {', '.join(PARAMETER_FILES)}")
    node, stem = PARAMETER_FILES[name], name.removesuffix(".yaml")
    argument = "params_file" if stem == "estimator" else f"{stem}_params_file"
    return _HEADER.format(node=node, stem=stem, argument=argument) + yaml_text(NODES[node], indent=4)


def with_tables(text: str) -> str:
    """The text with up-to-date tables between its marks.

    Raises:
        ValueError: a mark names no node, or no data set, of this package.
    """

    def filled(match: re.Match[str]) -> str:
        begin, node, end = match.groups()
        if node not in NODES:
            raise ValueError(f"there is no node {node!r}; there are {', '.join(NODES)}")
        return f"{begin}{table(NODES[node])}{end}"

    return with_set_tables(_MARKS.sub(filled, text))


def main(arguments: Sequence[str] | None = None) -> None:
    """Bring the named files up to date."""
    parser = argparse.ArgumentParser(prog="hand_pose parameters", description=main.__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    for path in parser.parse_args(arguments).files:
        if path.suffix == ".yaml":
            text = parameter_file(path.name)
        else:
            text = with_tables(path.read_text(encoding="utf-8"))
        path.write_text(text, encoding="utf-8")
