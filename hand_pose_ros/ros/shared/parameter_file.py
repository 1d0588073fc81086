"""A reader of ROS parameter files, for a launch file that needs to know what a node will be given."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

from hand_pose_ros.files.safe_yaml import read_yaml

_PARAMETERS: Final = "ros__parameters"


def node_parameters(path: str | Path, node_name: str) -> dict[str, Any]:
    """The parameters that a file gives to a node, by their dotted names; of several values the last one counts.

    Args:
        node_name: with its namespace: ``/hand_pose/hand_teleop``. A file names nodes by keys, or by sections for
            the namespaces; in both, ``*`` stands for one name and ``**`` for any number of names.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: it is no parameter file; names the file.
    """
    content = read_yaml(path)
    if content is None:
        return {}
    result: dict[str, Any] = {}
    for pattern, parameters in _nodes(_section(content, path), "", path):
        if re.fullmatch(_expression(pattern), node_name):
            result.update(_flat(parameters, ""))
    return result


def _nodes(
    section: Mapping[str, Any], name: str, path: str | Path
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The names of nodes, which begin with a slash, with the parameters of each."""
    for key, value in section.items():
        if key == _PARAMETERS:
            yield name, _section(value, path)
        else:
            yield from _nodes(_section(value, path), f"{name}/{key.removeprefix('/')}", path)


def _section(value: Any, path: str | Path) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{path} must hold names of nodes, and {_PARAMETERS} of each")
    return {str(key): one for key, one in cast("Mapping[Any, Any]", value).items()}


def _expression(name: str) -> str:
    """The regular expression of a node's name in a parameter file."""
    return re.escape(name).replace(r"/\*\*", r"(/\w+)*").replace(r"/\*", r"/\w+")


def _flat(parameters: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in parameters.items():
        if isinstance(value, Mapping):
            result.update(_flat(cast("Mapping[str, Any]", value), f"{prefix}{key}."))
        else:
            result[f"{prefix}{key}"] = value
    return result
