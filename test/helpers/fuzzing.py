"""Fuzz targets: hostile input for the readers, the same in every run unless HAND_POSE_FUZZ asks for more of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

FACTOR = int(os.environ.get("HAND_POSE_FUZZ", "0"))
"""With 0, a fixed number of fixed inputs; with n, n times as many, other ones in each run."""


def fuzz(examples: int) -> Callable[[Any], Any]:
    """Settings of a fuzz target: how many inputs it gets."""
    return settings(
        max_examples=examples * max(FACTOR, 1), derandomize=FACTOR == 0, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


@st.composite
def changed_bytes(draw: Any, content: bytes, most: int = 8) -> bytes:
    """The content with some bytes changed, cut out or put in."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, most))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        kind = draw(st.sampled_from(("change", "change", "change", "number", "cut", "insert", "end")))
        if kind == "change" and data:
            data[place] = draw(st.integers(0, 255))
        elif kind == "number":
            data[place : place + 4] = draw(
                st.sampled_from((b"\xff\xff\xff\xff", bytes(4), b"\xff\xff\xff\x7f"))
            )
        elif kind == "cut":
            del data[place : place + draw(st.integers(1, 16))]
        elif kind == "insert":
            data[place:place] = draw(st.binary(min_size=1, max_size=16))
        else:
            del data[place:]
    return bytes(data)


def plain_values() -> st.SearchStrategy:
    """What JSON, YAML or a parameter can hold, also absurd numbers."""
    leaves = (
        st.none() | st.booleans() | st.integers() | st.sampled_from((2**31, -(2**63), 2**64, 10**400))
        | st.floats() | st.text(max_size=20) | st.just("x" * 5000)
    )  # fmt: skip
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=8,
    )


def refused(read: Callable[[], object], *errors: type[Exception], most_characters: int = 1500) -> bool:
    """Whether ``read`` refuses its input with one of the documented errors, ValueError if none is given.

    The message must say something, at a bearable length; any other exception fails the test.
    """
    documented = errors or (ValueError,)
    try:
        read()
    except documented as error:
        message = str(error)
        assert 0 < len(message) <= most_characters, message[:3000]
        return True
    return False
