"""Runs a node as a process: its callbacks in a thread, its work in the main thread, and a clean end on SIGINT."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TypeVar, cast

import rclpy
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import try_shutdown

from hand_pose_ros.common.option_documents import help_text
from hand_pose_ros.common.options import Options
from hand_pose_ros.ros.shared.log_forwarding import forwarded_log

AnyNode = TypeVar("AnyNode", bound=Node)
_REFUSALS = (ValueError, OSError, InvalidParameterTypeException, InvalidParameterValueException)


def run_node(
    create: Callable[[], AnyNode],
    work: Callable[[AnyNode], int] | None = None,
    args: Sequence[str] | None = None,
    create_executor: Callable[[], Executor] = SingleThreadedExecutor,
    parameters: type[Options] | None = None,
) -> int:
    """Create a node and run it until its work ends or the process is stopped; return the exit code.

    rclpy's own handlers would pull the context from under threads that are about to publish; here SIGINT and
    SIGTERM are a KeyboardInterrupt in the main thread, which then takes everything down in order.

    Args:
        create: makes the node. A ValueError or OSError from it (a bad parameter, a missing file) is logged as
            one line and gives exit code 1.
        work: what the main thread does, and the exit code it returns; if None it waits for a signal.
        args: the process's arguments; those of the command line if None.
        parameters: the options that `--help` lists; the node is not started then.
    """
    given = sys.argv[1:] if args is None else args
    if parameters is not None and ("--help" in given or "-h" in given):
        sys.stdout.write(
            f"usage: {create.__name__} --ros-args [-p name:=value ...] [--params-file FILE]\n\n"
            f"parameters:\n{help_text(parameters)}"
        )
        return 0
    rclpy.init(args=None if args is None else list(args), signal_handler_options=SignalHandlerOptions.NO)
    previous = {number: signal.signal(number, signal.default_int_handler) for number in _STOP_SIGNALS}
    node = None
    try:
        node = create()
        with forwarded_log(node.get_logger()), _spinning(node, create_executor()):
            if work is not None:
                return work(node)
            threading.Event().wait()
        return 0
    except KeyboardInterrupt:
        return 0
    except _REFUSALS as error:
        if node is not None:
            raise
        get_logger(create.__name__).fatal(str(error))
        return 1
    finally:
        for number in _STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the clean-up
        if node is not None:
            node.destroy_node()
        try_shutdown()
        for number, handler in previous.items():
            signal.signal(number, handler)


_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def _spinning(node: Node, executor: Executor) -> Generator[None, None, None]:
    """Run the node's callbacks in a thread; an exception in one of them is raised here."""
    failures: list[BaseException] = []
    main_thread = cast("int", threading.main_thread().ident)  # None only before a thread starts

    def spin() -> None:
        try:
            executor.spin()
        except Exception as error:  # whatever a callback raises has to end the process, not only this thread
            failures.append(error)
            signal.pthread_kill(main_thread, signal.SIGINT)  # also out of a wait

    executor.add_node(node)
    thread = threading.Thread(target=spin, name="callbacks")
    thread.start()
    try:
        yield
    finally:
        # Later failures are rclpy's own: shutdown() destroys what a callback that is running may still use.
        reasons = list(failures)
        executor.shutdown()
        thread.join()
        if reasons:
            raise reasons[0]
