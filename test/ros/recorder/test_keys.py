"""The keys of a terminal, on a pseudo-terminal."""

from __future__ import annotations

import os
import threading

from helpers.ros_harness import wait_for

from hand_pose_ros.ros.recorder.keys import terminal_keys


def test_lines_of_the_terminal_come_in_order_and_the_thread_ends(monkeypatch):
    controller, terminal = os.openpty()
    lines: list[str] = []
    with os.fdopen(terminal, "r") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        before = threading.active_count()
        with terminal_keys(lines.append) as there:
            assert there
            os.write(controller, b"\n D \nwho knows\nq\n")
            wait_for(lambda: len(lines) == 4, "four lines")
        assert lines == ["", "d", "who knows", "q"]
        assert threading.active_count() == before
    os.close(controller)


def test_without_a_terminal_there_are_no_keys(monkeypatch):
    with open(os.devnull) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        with terminal_keys(lambda _: None) as there:
            assert not there
    monkeypatch.setattr("sys.stdin", None)
    with terminal_keys(lambda _: None) as there:
        assert not there
