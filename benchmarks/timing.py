"""What every benchmark here measures and prints with: medians of repeats, beside those of the naive version."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROW = "{:<48} {:>12} {:>12} {:>8}"


def median_seconds(function: Callable[[], object], repeats: int = 20, warm_up: int = 3) -> float:
    """Median wall time of one call, seconds, after ``warm_up`` calls that are not counted."""
    for _ in range(warm_up):
        function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return median(times)


def processor_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def print_header() -> None:
    print(ROW.format("", "median", "naive", "ratio"))


def print_row(name: str, seconds: float, naive_seconds: float | None = None) -> None:
    """One line: the median, and how many times faster that is than the naive version, if there is one."""
    if naive_seconds is None:
        print(ROW.format(name, _milliseconds(seconds), "-", "-"))
        return
    ratio = f"{naive_seconds / seconds:.3g}x"
    print(ROW.format(name, _milliseconds(seconds), _milliseconds(naive_seconds), ratio))


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
