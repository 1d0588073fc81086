"""Values of unknown size in messages, cut to a length that a log and a diagnostics topic can bear."""

from __future__ import annotations

from typing import Final

MOST_VALUE: Final = 120
MOST_MESSAGE: Final = 600


def shortened(text: str, most: int = MOST_MESSAGE) -> str:
    """``text``, or its beginning and end with '...' between them, ``most`` characters together."""
    if len(text) <= most:
        return text
    tail = (most - 5) // 3
    return f"{text[: most - 5 - tail]} ... {text[len(text) - tail :]}"


def shown(value: object, most: int = MOST_VALUE) -> str:
    """The representation of a value, shortened."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, a value in itself
        text = f"a value of type {type(value).__name__} that cannot be shown"
    return shortened(text, most)
