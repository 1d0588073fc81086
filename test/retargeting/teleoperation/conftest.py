"""Sessions in simulated time; every command of every test is checked for safety."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from helpers.session_run import Run


@pytest.fixture
def make() -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start(**options: object) -> Run:
        runs.append(Run(**options))
        return runs[-1]

    yield start
    for run in runs:
        run.check()
