"""Diagnostic messages and the rolling statistics in them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from hand_pose_ros.files.bounded_text import shortened


def status(name: str, level: bytes, message: str, values: Mapping[str, object]) -> DiagnosticStatus:
    """One component's status; a float is shown with four significant digits, and long texts are cut."""
    shown = {key: f"{value:.4g}" if isinstance(value, float) else str(value) for key, value in values.items()}
    return DiagnosticStatus(
        name=name,
        level=level,
        message=shortened(message),
        values=[KeyValue(key=key, value=shortened(value)) for key, value in shown.items()],
    )


def diagnostics_message(statuses: Iterable[DiagnosticStatus], stamp: Time) -> DiagnosticArray:
    """The message for /diagnostics."""
    return DiagnosticArray(header=Header(stamp=stamp), status=list(statuses))


class RollingStatistics:
    """Median and percentiles of the newest values of several quantities; written and read by different threads."""

    def __init__(self, window: int = 300) -> None:
        self._window = window
        self._values: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def add(self, values: Mapping[str, float]) -> None:
        """Add one value of each quantity."""
        with self._lock:
            for name, value in values.items():
                self._values.setdefault(name, deque(maxlen=self._window)).append(value)

    def percentiles(self, *ranks: float) -> dict[str, list[float]]:
        """Percentiles (0-100) of each quantity, in the order in which they first came."""
        with self._lock:
            copies = {name: list(values) for name, values in self._values.items()}
        return {name: np.percentile(values, ranks).tolist() for name, values in copies.items()}

    def clear(self) -> None:
        """Forget all values."""
        with self._lock:
            self._values.clear()
