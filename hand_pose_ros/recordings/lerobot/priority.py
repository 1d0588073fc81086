"""Scheduling of the threads that a video encoder starts."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

_THREADS: Final = Path("/proc/self/task")


def call_at_own_priority(open_encoder: Callable[[], None]) -> None:
    """Call it, and give the threads that it starts the scheduling of the caller.

    As root, which is common in containers, SVT-AV1 gives real-time priority 99 (SCHED_FIFO) to its caller and to
    all its threads. They would displace everything else on the machine, a robot's controller too, and any thread
    that the caller starts afterwards would inherit it. It is therefore called in a thread of its own, which ends
    at once: the C library remembers the priority beside the kernel, where Python cannot take it back.
    """
    if not hasattr(os, "sched_getscheduler"):
        open_encoder()
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    before = _threads()
    try:
        with ThreadPoolExecutor(max_workers=1) as pool:
            pool.submit(open_encoder).result()
    finally:
        for thread in _threads() - before:
            with contextlib.suppress(ProcessLookupError):
                os.sched_setscheduler(thread, policy, parameters)


def _threads() -> set[int]:
    return {int(thread.name) for thread in _THREADS.iterdir()} if _THREADS.is_dir() else set()
