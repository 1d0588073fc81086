"""The command line of a node's process: ``--help``, and a refusal of arguments that are not for ROS.

A node takes all that it needs from ROS: parameters, remappings. Both answers come before rclpy is imported.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Final

from hand_pose_ros.common.late_import import import_named
from hand_pose_ros.common.option_documents import help_text
from hand_pose_ros.common.share import share_file, share_folder
from hand_pose_ros.ros.shared.ending import node_process
from hand_pose_ros.ros.shared.interface import Endpoint, NodeInterface

_HELP: Final = ("-h", "--help")
_ROS_ARGUMENTS: Final = "--ros-args"
_END: Final = "--"
_WIDTH: Final = 96
USAGE_ERROR: Final = 2


def node_main(
    interface: NodeInterface, run: Callable[[Sequence[str] | None], int], args: Sequence[str] | None
) -> int:
    """The entry point of a node: answer the command line, or run the node; return the exit code.

    Args:
        run: runs the node with such arguments; what it needs of ROS and libraries it imports itself.
        args: without the process's name. None for those of the command line: then the process is the node's own,
            and ends with it, see :func:`~hand_pose_ros.ros.shared.ending.node_process`.
    """
    code = answer(interface, sys.argv[1:] if args is None else args)
    if code is not None:
        return code
    return run(args) if args is not None else node_process(lambda: run(None))


def answer(interface: NodeInterface, arguments: Sequence[str]) -> int | None:
    """Answer a command line that does not start the node; return the exit code, or None if the node is to start.

    Args:
        arguments: those of the process, without its name.
    """
    plain = plain_arguments(arguments)
    if any(argument in _HELP for argument in arguments):
        sys.stdout.write(usage(interface))
        return 0
    if not plain:
        return None
    hint = f"{interface.name} --help tells how to pass parameters and remappings"
    if any(":=" in argument for argument in plain):
        hint = (
            f"parameters and remappings stand behind {_ROS_ARGUMENTS}: "
            f"{interface.name} {_ROS_ARGUMENTS} -p name:=value -r topic:=other"
        )
    sys.stderr.write(f"{interface.name}: unknown argument {plain[0]!r}; {hint}\n")
    return USAGE_ERROR


def plain_arguments(arguments: Sequence[str]) -> list[str]:
    """The arguments that ROS does not read: those outside of ``--ros-args ... [--]``."""
    plain: list[str] = []
    for_ros = False
    for argument in arguments:
        if argument == _ROS_ARGUMENTS:
            for_ros = True
        elif for_ros:
            for_ros = argument != _END
        else:
            plain.append(argument)
    return plain


def usage(interface: NodeInterface) -> str:
    """The text of ``--help``, from the interface and the declared options."""
    name = interface.name
    listed = help_text(import_named(interface.parameters))
    parts = [
        f"usage: {name} [{_ROS_ARGUMENTS} [-p NAME:=VALUE ...] [--params-file FILE] [-r NAME:=OTHER ...]]",
        textwrap.fill(interface.summary, _WIDTH),
        *_endpoints("subscribes to", interface.subscribed),
        *_endpoints("publishes", interface.published),
        *_endpoints("services", interface.services),
        f"parameters:\n{listed.rstrip()}",
        _more(interface),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _more(interface: NodeInterface) -> str:
    """Return where the rest is described."""
    lines = []
    if interface.parameter_file:
        lines.append(f"every parameter, as a file to copy: {share_file(interface.parameter_file)}")
    if interface.page:
        page = share_folder() / interface.page
        lines.append(f"description: {page if page.is_file() else interface.page + ' of the sources'}")
    return "\n".join(lines)


def _endpoints(title: str, endpoints: Sequence[Endpoint]) -> list[str]:
    if not endpoints:
        return []
    names, kinds = (max(len(one[field]) for one in endpoints) for field in (0, 1))
    lines = [f"  {one.name:{names}}  {one.kind:{kinds}}  {one.description}" for one in endpoints]
    return ["\n".join([f"{title}:", *lines])]
