"""Reading of JSON from files whose size and depth are not known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hand_pose_ros.files.bounded_text import shortened
from hand_pose_ros.files.regular_file import MOST_TEXT_BYTES, read_text


def parse_json(text: str | bytes) -> Any:
    """The plain values of a JSON text.

    Raises:
        ValueError: not JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_json(path: str | Path, most_bytes: int = MOST_TEXT_BYTES) -> Any:
    """The plain values of a JSON file.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: not a regular file, larger than ``most_bytes``, or not JSON; names the file.
    """
    text = read_text(path, most_bytes)
    try:
        return parse_json(text)
    except ValueError as error:
        raise ValueError(f"{path} is not a JSON file: {shortened(str(error))}") from error
