"""How a node's process ends: by a signal at any moment, by a failure in a callback, when its work is done."""

from __future__ import annotations

import signal
import textwrap
from pathlib import Path

import pytest

NODE = """
    import sys
    from rclpy.node import Node
    from hand_pose_ros.ros.shared.process import run_node

    class Example(Node):
        def __init__(self):
            super().__init__("example")
            self.create_timer(0.01, self.tick)
            self.ticks = 0

        def tick(self):
            self.ticks += 1
            if self.ticks == 20:
                self.get_logger().info("ticking")
            if {fails} and self.ticks == 30:
                raise RuntimeError("the callback broke")

    sys.exit(run_node(Example, {work}))
"""


@pytest.fixture
def start_example(start_node, tmp_path, monkeypatch):
    """Start the node above as a process."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")

    def start(fails: bool = False, work: str = "None"):
        (Path(tmp_path) / "example_node.py").write_text(textwrap.dedent(NODE).format(fails=fails, work=work))
        return start_node("example_node")

    return start


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("work", ["None", "lambda node: __import__('time').sleep(1000)"])
def test_a_signal_ends_it_quietly(start_example, number, work):
    process = start_example(work=work)
    process.wait_for_log("ticking")
    process.signal(number)
    process.signal(number)
    assert process.wait() == 0
    assert "Traceback" not in process.log


def test_a_broken_callback_ends_the_process(start_example):
    process = start_example(fails=True)
    assert process.wait() not in (0, None)
    assert "RuntimeError: the callback broke" in process.log


@pytest.mark.parametrize("argument", ["--unknown", "-p oops"])
def test_arguments_that_ros_cannot_read_end_it_with_a_line_and_code_2(start_example, argument):
    process = start_example(work=f"None, ['--ros-args', *{argument.split()}]")
    assert process.wait() == 2
    assert "ROS cannot start with these arguments: " in process.log
    assert argument in process.log
    assert "Traceback" not in process.log


def test_the_exit_code_is_that_of_the_work(start_example):
    assert start_example(work="lambda node: 3").wait() == 3
