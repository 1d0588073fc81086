"""Fixtures of the tests that run nodes: an isolated DDS domain, processes, and a listener in this process.

Every test that uses the domain is marked ``live``.
"""

from __future__ import annotations

import fcntl
import os
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

try:
    import rclpy
    from helpers.ros_harness import Listener, NodeProcess
except ImportError as error:
    rclpy = None
    _why = f"needs ROS 2, by a sourced installation or `make test`: {error}"

_HIGHEST_DOMAIN_ID = 101  # of those whose ports lie below Linux' ephemeral range
collect_ignore_glob = [] if rclpy else ["*test_*.py"]


def pytest_report_header() -> str:
    """Say why the tests of this folder are not there."""
    return "" if rclpy else f"test/ros is left out: {_why}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that talk over DDS, before pytest selects by mark."""
    for item in items:
        if "ros_domain" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.live)


@pytest.fixture(scope="session")
def ros_domain(repository: Path) -> Iterator[int]:
    """A ROS_DOMAIN_ID that no other test run on this machine uses, with the shipped Fast DDS profile."""
    candidates = list(range(1, _HIGHEST_DOMAIN_ID + 1))
    random.shuffle(candidates)
    for domain in candidates:
        lock = open(Path(tempfile.gettempdir()) / f"hand_pose_ros_test_domain_{domain}.lock", "w")  # noqa: SIM115
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        break
    else:
        pytest.fail("all ROS domains are taken by other test runs")
    profile = str(repository / "config" / "fastdds.xml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_DOMAIN_ID", str(domain))
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        patch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", profile)
        patch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", profile)
        patch.setenv(
            "PYTHONPATH", os.pathsep.join(filter(None, (str(repository), os.environ.get("PYTHONPATH"))))
        )
        yield domain
    lock.close()


@pytest.fixture
def start_node(ros_domain: int, tmp_path: Path) -> Iterator[Callable[..., "NodeProcess"]]:
    """Start a node as a process: ``start_node('hand_pose_ros.ros.video_player.process', parameters={...})``.

    The arguments are those of :class:`helpers.ros_harness.NodeProcess`. What still runs after the test is ended.
    """
    processes: list[NodeProcess] = []

    def start(module: str, **arguments: object) -> NodeProcess:
        processes.append(NodeProcess(module, log_path=tmp_path / f"node_{len(processes)}.log", **arguments))
        return processes[-1]

    yield start
    for process in processes:
        process.end()


@pytest.fixture
def listener(ros_domain: int) -> Iterator["Listener"]:
    """A node in this process that subscribes, publishes, calls services and sets parameters."""
    with Listener() as node:
        yield node
