"""The package's core logs by ``logging``; a node's process forwards it to the node's log and so to /rosout."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from rclpy.impl.rcutils_logger import RcutilsLogger

_PACKAGE: Final = "hand_pose_ros"


@contextmanager
def forwarded_log(logger: RcutilsLogger) -> Generator[None, None, None]:
    """Forward what the package logs, from INFO up, to ``logger`` instead of the handlers of ``logging``."""
    package, handler = logging.getLogger(_PACKAGE), _NodeLogHandler(logger)
    level, propagate = package.level, package.propagate
    package.addHandler(handler)
    package.setLevel(logging.INFO)
    package.propagate = False
    try:
        yield
    finally:
        package.removeHandler(handler)
        package.setLevel(level)
        package.propagate = propagate


class _NodeLogHandler(logging.Handler):
    def __init__(self, logger: RcutilsLogger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record with its severity; a line of its own for each, which rclpy demands."""
        text = self.format(record)
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        else:
            self._logger.info(text)
