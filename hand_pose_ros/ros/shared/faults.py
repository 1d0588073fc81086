"""The current faults of a node: logged once when they begin and once when they end, and kept for diagnostics."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.impl.rcutils_logger import RcutilsLogger

from hand_pose_ros.files.bounded_text import shortened

_SAME_MESSAGE_S: Final = 10.0
_SAME_KIND_S: Final = 1.0
"""A fault that returns sooner is not logged again, so a fault that comes and goes does not flood the log."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong; level: DiagnosticStatus.WARN or ERROR."""

    level: bytes
    message: str


def worst(faults: Mapping[str, Fault]) -> tuple[bytes, str]:
    """The highest level, and the messages of the faults, worst first."""
    ordered = sorted(faults.values(), key=lambda fault: fault.level, reverse=True)
    return (ordered[0].level if ordered else DiagnosticStatus.OK), "; ".join(f.message for f in ordered)


class FaultLog:
    """The faults of a node by kind; usable from any thread."""

    def __init__(self, logger: RcutilsLogger) -> None:
        self._logger = logger
        self._active: dict[str, Fault] = {}
        self._passed: dict[str, Fault] = {}
        self._logged: dict[str, tuple[float, str]] = {}
        self._announced: set[str] = set()
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def report(
        self, kind: str, message: str, level: bytes = DiagnosticStatus.ERROR, logged: bool = False
    ) -> None:
        """Record that a fault is active; a line is logged if it was not active before. Long messages are cut.

        ``logged``: what raised it has logged it, so that no line is needed.
        """
        message = shortened(message)
        with self._lock:
            is_new = kind not in self._active
            self._active[kind] = Fault(level, message)
            self._counts[kind] = self._counts.get(kind, 0) + 1
            if logged or not is_new or self._is_quiet(kind, message):
                return
            self._announced.add(kind)
        if level == DiagnosticStatus.ERROR:
            self._logger.error(message)
        else:
            self._logger.warning(message)

    def _is_quiet(self, kind: str, message: str) -> bool:
        """Whether too little time has passed for another line; if not, this is the time of that line."""
        now_s = time.monotonic()
        logged_s, logged_message = self._logged.get(kind, (-math.inf, ""))
        if now_s - logged_s < (_SAME_MESSAGE_S if message == logged_message else _SAME_KIND_S):
            return True
        self._logged[kind] = (now_s, message)
        return False

    def clear(self, *kinds: str) -> None:
        """Record that these faults have ended or do not exist."""
        if not self._active:
            return
        with self._lock:
            ended = {kind: self._active.pop(kind) for kind in kinds if kind in self._active}
            self._passed.update(ended)
            announced = [fault for kind, fault in ended.items() if kind in self._announced]
            self._announced -= ended.keys()
        for fault in announced:
            self._logger.info(f"over: {fault.message}")

    def clear_all(self) -> None:
        """Forget everything but the counts, without logging."""
        with self._lock:
            self._active.clear()
            self._passed.clear()
            self._announced.clear()

    def take(self) -> dict[str, Fault]:
        """The active faults, and those that began and ended since the last call."""
        with self._lock:
            result = {**self._passed, **self._active}
            self._passed.clear()
            return result

    @property
    def counts(self) -> dict[str, int]:
        """Number of reports of each kind."""
        with self._lock:
            return dict(self._counts)
