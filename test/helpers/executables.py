"""The executables of the package, read from setup.py."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any, Final

_SETUP: Final = Path(__file__).resolve().parents[2] / "setup.py"


def executables() -> dict[str, str]:
    """Name -> module whose ``main`` it runs."""
    found = re.findall(r'f"(\w+) = \{NAME\}\.([\w.]+):main"', _SETUP.read_text(encoding="utf-8"))
    return {name: f"hand_pose_ros.{module}" for name, module in found}


def nodes() -> dict[str, str]:
    """Those of them that are nodes."""
    return {name: module for name, module in executables().items() if ".ros." in module}


def interface_of(node: str) -> Any:
    """The declared interface of a node."""
    return importlib.import_module(f"{nodes()[node].rpartition('.')[0]}.interface").INTERFACE
