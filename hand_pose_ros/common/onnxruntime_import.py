"""The late import of onnxruntime, with its telemetry switched off.

From version 1.29, onnxruntime's wheels for Linux report each session to its maker (names of models, the hardware,
and an identifier of the device, kept in the user's cache folder) unless an environment variable forbids it when
the library is loaded. This package sends nothing: every import of onnxruntime goes through this module.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import Final

TELEMETRY_VARIABLE: Final = "ORT_DISABLE_TELEMETRY"
"""onnxruntime's environment variable: any value that the user sets stays, '0' for telemetry."""


def import_onnxruntime() -> ModuleType:
    """Import onnxruntime; its telemetry stays off unless the user has set ``TELEMETRY_VARIABLE``.

    Raises:
        ImportError: it is not installed.
    """
    decided = TELEMETRY_VARIABLE in os.environ
    os.environ.setdefault(TELEMETRY_VARIABLE, "1")
    import onnxruntime

    if not decided:
        onnxruntime.disable_telemetry_events()  # where the application has imported it before
    return onnxruntime
