"""How a node's process ends: by a signal at any moment, by a failure in a callback, when its work is done."""

from __future__ import annotations

import signal
import textwrap
from pathlib import Path

import pytest

NODE = """
    import sys
    import threading
    import time
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

    {before}
    sys.exit(run_node(Example, {work}))
"""


@pytest.fixture
def start_example(start_node, tmp_path, monkeypatch):
    """Start the node above as a process."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")

    def start(fails: bool = False, work: str = "None", before: str = ""):
        (Path(tmp_path) / "example_node.py").write_text(
            textwrap.dedent(NODE.format(fails=fails, work=work, before=before))
        )
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


TORN_LOCK = """
    def torn_lock(node):
        try:
            time.sleep(1000)
        except KeyboardInterrupt:
            threading.Lock().release()
"""


def test_a_lock_that_a_signal_tears_open_is_no_failure(start_example):
    process = start_example(work="torn_lock", before=TORN_LOCK)
    process.wait_for_log("ticking")
    process.signal(signal.SIGINT)
    assert process.wait() == 0
    assert "Traceback" not in process.log


OWN_PROCESS = """
    import sys, time
    from hand_pose_ros.ros.shared.ending import node_process

    def run():
        print("importing", flush=True)
        {body}
        return 0

    node_process(run)
"""
SLOW_END = """
        from rclpy.node import Node
        from hand_pose_ros.ros.shared.process import run_node

        class Slow(Node):
            def destroy_node(self):
                time.sleep(1000)

        return run_node(lambda: Slow("slow"), lambda node: print("running", flush=True) or time.sleep(1000))
"""


@pytest.fixture
def start_own_process(start_node, tmp_path, monkeypatch):
    """Start a process that is a node's own, with this body of its function."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")

    def start(body: str):
        (tmp_path / "own_process.py").write_text(textwrap.dedent(OWN_PROCESS.format(body=body)))
        return start_node("own_process")

    return start


@pytest.mark.parametrize(("body", "text"), [("time.sleep(1000)", "importing"), (SLOW_END, "running")])
def test_a_signal_while_it_imports_or_cleans_up_ends_it_quietly(start_own_process, body, text):
    process = start_own_process(body)
    process.wait_for_log(text)
    process.signal(signal.SIGINT)
    process.signal(signal.SIGINT)
    assert process.wait() == 0
    assert "Traceback" not in process.log


PRODUCT = """
        import os
        import numpy as np

        large = np.ones((600, 600))
        large @ large
        print("threads:", len(os.listdir("/proc/self/task")))
"""


def test_products_of_a_node_start_no_threads(start_own_process):
    process = start_own_process(PRODUCT)
    assert process.wait() == 0
    assert "threads: 1\n" in process.log


BRAKING = """
        from rclpy.node import Node
        from hand_pose_ros.ros.shared.ending import CLEAN_UP_S
        from hand_pose_ros.ros.shared.process import run_node

        class Braking(Node):
            def destroy_node(self):
                time.sleep(CLEAN_UP_S + 0.5)
                print("at rest", flush=True)

        return run_node(
            lambda: Braking("braking"),
            lambda node: print("running", flush=True) or time.sleep(1000),
            clean_up_s=CLEAN_UP_S + 20.0,
        )
"""


def test_a_node_that_needs_longer_to_clean_up_is_given_its_time(start_own_process):
    process = start_own_process(BRAKING)
    process.wait_for_log("running")
    process.signal(signal.SIGINT)
    assert process.wait() == 0
    assert "at rest" in process.log


def test_a_signal_while_the_interpreter_starts_waits_and_ends_it_quietly(start_own_process):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # as the launch files start a node
    try:
        process = start_own_process("time.sleep(1000)")
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    process.signal(signal.SIGINT)
    assert process.wait() == 0
    assert process.log == ""


@pytest.mark.parametrize(
    ("body", "code"), [("return 3", 3), ("sys.exit(4)", 4), ("raise ValueError('broken')", 1)]
)
def test_the_code_of_a_node_s_own_process(start_own_process, body, code):
    process = start_own_process(body)
    assert process.wait() == code
    assert ("ValueError: broken" in process.log) == (code == 1)


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
