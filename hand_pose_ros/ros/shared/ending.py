"""A node's own process: it ends quietly with code 0 on Ctrl-C, whenever it comes, and its NumPy has one thread.

``ros2 launch`` sends SIGINT to processes that have it from the terminal already. Python's own handler would print
a traceback while libraries are imported, and the interpreter's finalisation may abort under libraries that still
have threads; so the process leaves without it. The launch files start the nodes with SIGINT blocked, so that one
which comes while the interpreter starts waits until here.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Final, NoReturn

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
CLEAN_UP_S: Final = 1.2
"""Time that a node has to clean up, unless it needs more; ros2 launch sends SIGTERM after 5 s."""
_own_process = threading.Event()


def node_process(run: Callable[[], int]) -> NoReturn:
    """Run a node as the only work of this process, and end the process with the code that ``run`` returns.

    Until ``run`` sets handlers of its own, SIGINT and SIGTERM end the process at once, with code 0. An exception
    is printed and gives code 1. NumPy must not be imported yet.
    """
    _own_process.set()
    # The matrices of a node are small. After each product the threads of OpenBLAS would spin for the next one: a
    # second core was 65 % busy with that.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for number in STOP_SIGNALS:
        signal.signal(number, lambda _number, _frame: _leave(0))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    try:
        code = run()
    except BaseException as error:
        if isinstance(error, SystemExit):
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        else:
            code = 0 if isinstance(error, KeyboardInterrupt) else 1
            if code:
                traceback.print_exc()
    _leave(code)


def limit_clean_up(limit_s: float = CLEAN_UP_S) -> None:
    """End the process, if it is a node's own, after ``limit_s``, whatever still runs, such as a model's load."""
    if _own_process.is_set():
        timer = threading.Timer(limit_s, _leave, (0,))
        timer.daemon = True
        timer.start()


def _leave(code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # a closed pipe
            continue
    os._exit(code)
