"""Runs a node as a process: its callbacks in a thread, its work in the main thread, and a clean end on SIGINT."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar, cast

import rclpy
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import try_shutdown

from hand_pose_ros.files.bounded_text import MOST_MESSAGE, shortened
from hand_pose_ros.ros.shared.command_line import USAGE_ERROR
from hand_pose_ros.ros.shared.ending import CLEAN_UP_S, STOP_SIGNALS, limit_clean_up
from hand_pose_ros.ros.shared.log_forwarding import forwarded_log

AnyNode = TypeVar("AnyNode", bound=Node)
_REFUSALS = (ValueError, OSError, ImportError, InvalidParameterTypeException, InvalidParameterValueException)


def run_node(
    create: Callable[[], AnyNode],
    work: Callable[[AnyNode], int] | None = None,
    args: Sequence[str] | None = None,
    create_executor: Callable[[], Executor] = SingleThreadedExecutor,
    clean_up_s: float = CLEAN_UP_S,
) -> int:
    """Create a node and run it until its work ends or the process is stopped; return the exit code.

    rclpy's own handlers would pull the context from under threads that are about to publish; here SIGINT and
    SIGTERM are a KeyboardInterrupt in the main thread, which then takes everything down in order.

    Args:
        create: makes the node. A ValueError, OSError or ImportError from it (a bad parameter, a missing file or
            library) is logged as one line and gives exit code 1.
        work: what the main thread does, and the exit code it returns; if None it waits for a signal.
        args: the process's arguments; those of the command line if None. Exit code 2 if ROS cannot read them.
        clean_up_s: time from a signal after which the process ends, if it is a node's own, whatever still runs.
    """
    try:
        rclpy.init(args=None if args is None else list(args), signal_handler_options=SignalHandlerOptions.NO)
    except (rclpy_implementation.RCLError, rclpy_implementation.UnknownROSArgsError) as error:
        get_logger(create.__name__).fatal(f"ROS cannot start with these arguments: {error}")
        return USAGE_ERROR
    broken, stopped = threading.Event(), threading.Event()
    interrupt = _interrupt_once(broken, stopped, clean_up_s)
    previous = {number: signal.signal(number, interrupt) for number in STOP_SIGNALS}
    node = None
    try:
        node = create()
        with forwarded_log(node.get_logger()), _spinning(node, create_executor(), broken):
            if work is not None:
                return work(node)
            threading.Event().wait()
        return 0
    except KeyboardInterrupt:
        return 0
    except Exception as error:
        if stopped.is_set():  # an interrupt inside a lock of Python's leaves as "release unlocked lock"
            return 0
        if node is not None or not isinstance(error, _REFUSALS):
            raise
        get_logger(create.__name__).fatal(shortened(str(error), 4 * MOST_MESSAGE))
        return 1
    finally:
        _ignore_signals()
        if node is not None:
            node.destroy_node()
        try_shutdown()
        for number, handler in previous.items():
            signal.signal(number, handler)


def _ignore_signals() -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _interrupt_once(
    broken: threading.Event, stopped: threading.Event, clean_up_s: float
) -> Callable[[int, FrameType | None], None]:
    """A handler that raises KeyboardInterrupt once: a second Ctrl-C must not interrupt the clean-up.

    ``broken``: set if the interrupt comes from a callback that failed; otherwise the handler sets ``stopped``.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        _ignore_signals()
        if not broken.is_set():
            stopped.set()
            limit_clean_up(clean_up_s)
        raise KeyboardInterrupt

    return interrupt


@contextmanager
def _spinning(node: Node, executor: Executor, broken: threading.Event) -> Generator[None, None, None]:
    """Run the node's callbacks in a thread; an exception in one of them sets ``broken`` and is raised here."""
    failures: list[BaseException] = []
    main_thread = cast("int", threading.main_thread().ident)  # None only before a thread starts

    def spin() -> None:
        try:
            executor.spin()
        except Exception as error:  # whatever a callback raises has to end the process, not only this thread
            failures.append(error)
            broken.set()
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
