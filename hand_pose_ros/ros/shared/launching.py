"""Shared parts of the launch files: arguments, and start and end of the nodes.

Only launch files import it, for ``launch`` comes with ROS 2 and not from PyPI.
"""
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false, reportUnknownParameterType=false

from __future__ import annotations

import math
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Final

from launch.actions import OpaqueFunction, Shutdown
from launch.events.process import ProcessExited
from launch.logging import get_logger
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

# GNU's env can block signals since coreutils 8.31, setpriv (util-linux 2.33) has the node end with its launch.
# It comes first, for a SIGINT before it ends the process with an error.
_PREFIXES: Final = ("env --block-signal=INT setpriv --pdeathsig TERM", "env --block-signal=INT")
_OF_LAUNCH: Final = (
    "launch-prefix",
    "launch-prefix-filter",
    "sigterm_timeout",
    "sigkill_timeout",
    "emulate_tty",
)

SHOWN_PALM: Final = (0.0, -math.sqrt(0.5), 0.0, math.sqrt(0.5))
"""Orientation (xyzw) of a wrist frame in the upright frame at the camera: fingers up, palm towards the viewer."""

Converter = Callable[[str], object]


def start_prefix(given: Mapping[str, str]) -> str:
    """What stands before a node's command, so that it ends with Ctrl-C whenever that comes; may be empty.

    Before its interpreter is up, Python would end with a traceback, and ``ros2 launch`` with an error: SIGINT
    waits until the node unblocks it, see :mod:`hand_pose_ros.ros.shared.ending`. A node that launch starts just
    after Ctrl-C would be told nothing and stay: it ends when launch does. A prefix of the user's stands alone.
    """
    return given.get("launch-prefix", "") or _prefix_of_this_machine()


@cache
def _prefix_of_this_machine() -> str:
    for prefix in _PREFIXES:
        try:
            subprocess.run([*prefix.split(), "true"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return prefix
    return ""


def ctrl_c_reaches_the_launch() -> OpaqueFunction:
    """An action, to come before the nodes, after which launch ends with Ctrl-C also while it starts processes.

    ``launch`` handles signals in its loop, by a file descriptor. Python's own handler besides raises
    KeyboardInterrupt, wherever the main thread is; in the start of a process that one is lost, and launch waits
    for it for ever.
    """

    def quieten(context: LaunchContext) -> None:
        of_python = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if (
            of_python
            and context.asyncio_loop is not None
            and threading.current_thread() is threading.main_thread()
        ):
            signal.signal(signal.SIGINT, lambda _number, _frame: None)

    return OpaqueFunction(function=quieten)


def ends_the_launch(
    name: str,
) -> Callable[[ProcessExited, LaunchContext], list[LaunchDescriptionEntity] | None]:
    """An ``on_exit`` of a node without which the rest is of no use: if it fails, all end."""

    def on_exit(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        if event.returncode == 0 or context.is_shutdown:
            return None
        return [Shutdown(reason=f"{name} ended with exit code {event.returncode}")]

    return on_exit


def whole_number(text: str) -> int:
    """A converter of :func:`parameters`."""
    try:
        return int(text)
    except ValueError:
        raise ValueError("must be a whole number") from None


def number(text: str) -> float:
    """A converter of :func:`parameters`."""
    try:
        return float(text)
    except ValueError:
        raise ValueError("must be a number") from None


def true_or_false(text: str) -> bool:
    """A converter of :func:`parameters`, of an argument with these choices."""
    return text == "true"


def parameters(given: Mapping[str, str], known: Mapping[str, tuple[str, Converter]]) -> dict[str, object]:
    """The node's parameters that arguments set.

    Args:
        given: the arguments that are not empty.
        known: argument -> (parameter, converter of its text).

    Raises:
        ValueError: a text that is no such value; the message names the argument.
    """
    result = {}
    for name, (parameter, convert) in known.items():
        if name in given:
            try:
                result[parameter] = convert(given[name])
            except ValueError as error:
                raise ValueError(f"the launch argument {name} {error}, got {given[name]!r}") from None
    return result


def argument_check(file: str, entities: Sequence[LaunchDescriptionEntity]) -> OpaqueFunction:
    """An action that names the arguments which the user gave to this launch file, but which it does not have.

    ``ros2 launch`` takes any. Nothing is said where another launch file includes this one, for it may have them.

    Args:
        file: ``__file__`` of the launch file.
        entities: its other entities, those that it includes as well.
    """

    def check(context: LaunchContext) -> None:
        if any(Path(word).name == Path(file).name for word in sys.argv):
            known = [one.name for one in LaunchDescription(entities).get_launch_arguments()]
            for message in unknown_arguments(context.argv, known):
                get_logger("launch.user").warning(message)

    return OpaqueFunction(function=check)


def unknown_arguments(words: Iterable[str], known: Sequence[str]) -> list[str]:
    """A message for each ``name:=value`` among the words whose name is not known."""
    names = [word.partition(":=")[0] for word in words if ":=" in word]
    return [
        f"there is no launch argument {name!r}: it is not used"
        + "".join(f"; did you mean {likely}?" for likely in get_close_matches(name, known, 1))
        for name in names
        if name not in known and name not in _OF_LAUNCH
    ]


def view_frame(given: Mapping[str, str]) -> str:
    """The name of the upright frame at the camera, of the arguments view_frame and namespace; empty for none."""
    name = given.get("view_frame", "auto")
    if name == "none":
        return ""
    of_namespace = "_".join([*filter(None, given.get("namespace", "").split("/")), "view"])
    return of_namespace if name == "auto" else name


def static_frame(
    namespace: str,
    name: str,
    parent: str,
    child: str,
    position_m: Sequence[float],
    orientation: Sequence[float] = (0.0, 0.0, 0.0, 1.0),
) -> Node:
    """The broadcaster of a frame that does not move; ``orientation``: xyzw."""
    options = ("--x", "--y", "--z", "--qx", "--qy", "--qz", "--qw")
    numbers = zip(options, (*position_m, *orientation), strict=True)
    words = [word for option, value in numbers for word in (option, str(value))]
    return Node(
        package="tf2_ros",
        executable="static_transform_publisher",
        name=name,
        namespace=namespace,
        arguments=[*words, "--frame-id", parent, "--child-frame-id", child],
        output="log",
    )
