"""Fixtures of the tests of the hand_teleop: hands, and nodes that are ended and checked after the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from helpers.ros_harness import Listener
from helpers.teleop_harness import HandStream, Teleop


@pytest.fixture
def hands(listener: Listener) -> Iterator[HandStream]:
    """Hands in front of the camera at 30 Hz."""
    stream = HandStream(listener)
    yield stream
    stream.close()


@pytest.fixture
def make(listener: Listener) -> Iterator[Callable[..., Teleop]]:
    """Start a node with a simulated robot: ``make(parameters, simulator)``, None for no robot.

    After the test it is ended, and all its commands are checked for safety.
    """
    started: list[Teleop] = []

    def start(
        parameters: dict | None = None,
        simulator: dict | None = {},  # noqa: B006
        activate: bool = True,
        **arguments: object,
    ) -> Teleop:
        teleop = Teleop(listener, parameters, simulator, **arguments)
        started.append(teleop)
        return teleop.start(activate)

    yield start
    for teleop in started:
        teleop.close()
