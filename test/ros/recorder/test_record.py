"""`hand_pose record` on the live graph: episodes, services, Ctrl-C with nothing lost, and what it refuses."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, PoseArray, Quaternion
from helpers.ros_harness import BEST_EFFORT, START_TIMEOUT_S, Listener, wait_for
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CameraInfo, Image, JointState, PointCloud2
from sensor_msgs_py.point_cloud2 import create_cloud
from std_msgs.msg import Header, String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from hand_pose_ros import hand
from hand_pose_ros.recordings.description import read_description
from hand_pose_ros.recordings.episode import Episode
from hand_pose_ros.ros.messages.cloud import FIELDS, POINT_DTYPE

SPACE, NODE = "/hand_pose", "/hand_pose/hand_recorder"
STATES, COMMANDS = "/robot/states", "/robot/commands"
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
RATE_HZ = 30
TYPES = get_typestore(Stores.ROS2_JAZZY)
pytestmark = pytest.mark.live


class Recorder:
    """The command as a process."""

    def __init__(self, folder: Path, *arguments: str, terminal: int = subprocess.DEVNULL) -> None:
        self.folder = folder
        self._log = folder.with_suffix(".log")
        command = [sys.executable, "-m", "hand_pose_ros", "record", str(folder), *arguments]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=terminal, stdout=log, stderr=subprocess.STDOUT, env=os.environ
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def wait_for_log(self, text: str) -> None:
        wait_for(lambda: text in self.log or self.process.poll() is not None, repr(text), START_TIMEOUT_S)
        assert text in self.log, self.log

    def wait(self) -> int:
        return self.process.wait(START_TIMEOUT_S)


@pytest.fixture
def record(ros_domain, tmp_path) -> Iterator[Callable[..., Recorder]]:
    started: list[Recorder] = []

    def start(*arguments: str, **options: int) -> Recorder:
        started.append(Recorder(tmp_path / "takes", *arguments, **options))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


class Graph:
    """What an estimator, a teleoperation and a robot publish, 30 times a second."""

    def __init__(self, listener: Listener) -> None:
        self.count = 0
        self._generator = np.random.default_rng(0)
        self._image = listener.publisher(Image, f"{SPACE}/image", BEST_EFFORT)
        self._info = listener.publisher(CameraInfo, f"{SPACE}/camera_info", BEST_EFFORT)
        self._hands = listener.publisher(PointCloud2, f"{SPACE}/hands", 5)
        self._joints = listener.publisher(PoseArray, f"{SPACE}/right/joints", 5)
        self._states = listener.publisher(JointState, STATES, 5)
        self._commands = listener.publisher(JointTrajectory, COMMANDS, 5)
        self._teleop = listener.publisher(String, f"{SPACE}/hand_teleop/state", LATCHED)
        self._teleop.publish(String(data="engaged: follows"))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """Stop publishing; returns the number of the last message."""
        self._ended.set()
        self._thread.join()
        return self.count

    def _run(self) -> None:
        while not self._ended.wait(1 / RATE_HZ):
            self.count += 1
            self._publish(self.count)

    def _publish(self, number: int) -> None:
        now_ns = time.time_ns()
        header = Header(stamp=Time(sec=now_ns // 10**9, nanosec=now_ns % 10**9), frame_id="camera")
        pixels = self._generator.integers(0, 256, (48, 64, 3), np.uint8)
        self._image.publish(
            Image(header=header, height=48, width=64, encoding="bgr8", step=192, data=pixels.tobytes())
        )
        k = [60.0, 0.0, 32.0, 0.0, 60.0, 24.0, 0.0, 0.0, 1.0]
        self._info.publish(CameraInfo(header=header, width=64, height=48, k=k))
        points = np.zeros(21, POINT_DTYPE)
        points["z"], points["side"], points["joint"] = 0.5, hand.SIDES.index("right"), np.arange(21)
        self._hands.publish(create_cloud(header, FIELDS, points))
        pose = Pose(position=Point(z=0.5), orientation=Quaternion(w=1.0))
        self._joints.publish(PoseArray(header=header, poses=[pose] * 21))
        self._states.publish(JointState(header=header, name=["a"], position=[float(number)]))
        point = JointTrajectoryPoint(positions=[float(number)])
        self._commands.publish(JointTrajectory(joint_names=["a"], points=[point]))


@pytest.fixture
def graph(listener) -> Iterator[Graph]:
    found = Graph(listener)
    yield found
    found.stop()


ROBOT = ("--joint-states", STATES, "--command", COMMANDS, "--task", "wave")


def numbers(bag: Path, topic: str = COMMANDS) -> list[int]:
    """The numbers in the commands or states of an episode."""
    with Reader(bag) as reader:
        connections = [one for one in reader.connections if one.topic == topic]
        found = [TYPES.deserialize_cdr(raw, one.msgtype) for one, _, raw in reader.messages(connections)]
    return [int(one.points[0].positions[0] if topic == COMMANDS else one.position[0]) for one in found]


def test_episodes_of_a_stated_length_can_be_exported(record, graph, tmp_path):
    recorder = record(*ROBOT, "--episode-seconds", "1.5", "--episodes", "2", "--reset-seconds", "0.3")
    assert recorder.wait() == 0, recorder.log
    bags = sorted(recorder.folder.glob("episode_*"))
    assert [bag.name for bag in bags] == ["episode_000000", "episode_000001"]
    for bag in bags:
        assert read_description(bag).task == "wave"
        found = numbers(bag)
        assert found == list(range(found[0], found[0] + len(found)))
        assert len(found) > 10
        with Episode(bag, warn=pytest.fail) as episode:
            episode.read()
            assert len(episode.image_times_ns) > 10
            assert episode.hands["right"].hands.valid.all()
            assert episode.following.following.tolist() == [True]  # latched, before the episode began
            assert episode.state.names == ("a",)
            assert episode.has(f"{SPACE}/camera_info")
    assert numbers(bags[1])[0] > numbers(bags[0])[-1]
    pytest.importorskip("pyarrow", reason="needs PyArrow: pip install 'hand_pose_ros[lerobot]'")
    av = pytest.importorskip("av", reason="needs PyAV: pip install 'hand_pose_ros[lerobot]'")
    from hand_pose_ros.recordings.lerobot.export import ExportOptions, export

    episodes, frames = export(bags, tmp_path / "set", ExportOptions(fps=20), print, pytest.fail)
    assert episodes == 2
    video = tmp_path / "set/videos/observation.images.camera/chunk-000/file-000.mp4"
    with av.open(str(video)) as container:
        assert len(list(container.decode(video=0))) == frames


def test_ctrl_c_ends_the_episode_and_loses_nothing(record, graph):
    recorder = record(*ROBOT)
    recorder.wait_for_log("episode_000000 begins")
    time.sleep(1.0)
    last = graph.stop()
    time.sleep(0.5)
    recorder.process.send_signal(signal.SIGINT)
    assert recorder.wait() == 0, recorder.log
    for topic in (COMMANDS, STATES):
        found = numbers(recorder.folder / "episode_000000", topic)
        assert found == list(range(found[0], last + 1))
    assert "Traceback" not in recorder.log
    assert "dropped" not in recorder.log


def test_services_begin_end_and_discard(record, graph, listener):
    recorder = record(*ROBOT, "--manual")

    def call(name: str) -> Trigger.Response:
        return listener.call(Trigger, f"{NODE}/{name}", Trigger.Request(), START_TIMEOUT_S)

    assert (call("stop").success, call("discard").success) == (False, False)
    wait_for(lambda: call("start").success, "the needed topics")
    again = call("start")
    assert (again.success, again.message) == (False, "episode_000000 is being recorded already")
    time.sleep(0.5)
    answer = call("stop")
    assert answer.success, answer.message
    assert "episode_000000 holds" in answer.message
    assert call("start").success
    assert call("discard").success
    assert call("start").success
    time.sleep(0.5)
    recorder.process.terminate()
    assert recorder.wait() == 0, recorder.log
    assert [bag.name for bag in sorted(recorder.folder.glob("episode_*"))] == [
        "episode_000000",
        "episode_000001",
    ]
    assert numbers(recorder.folder / "episode_000001")


def test_without_topics_it_says_which_and_ends(record, listener):
    listener.publisher(Image, f"{SPACE}/image", BEST_EFFORT)
    recorder = record("--timeout-seconds", "10")
    assert recorder.wait() == 1
    assert f"no message on {SPACE}/image: its publisher is silent" in recorder.log
    assert f"no message on {SPACE}/hands: nothing publishes it" in recorder.log
    assert not list(recorder.folder.glob("episode_*"))


def test_a_second_recorder_is_refused(record, graph):
    first = record()
    first.wait_for_log("episode_000000 begins")
    second = record()
    assert second.wait() == 1
    assert "another recorder writes to" in first.log  # they share the log
    assert first.process.poll() is None
    first.process.send_signal(signal.SIGINT)
    assert first.wait() == 0


def test_a_disk_with_too_little_space_is_told(record, graph):
    recorder = record("--least-free-mb", "1000000000")
    assert recorder.wait() == 1
    assert "MB free, of 1000000000 MB that must stay" in recorder.log
    assert not list(recorder.folder.glob("episode_*"))


def test_a_file_that_cannot_grow_is_told(record, graph):
    """As on a full disk: a limit of the file's size, which the system reports in the same way."""
    recorder = record(*ROBOT)
    recorder.wait_for_log("episode_000000 begins")
    time.sleep(1.5)
    resource.prlimit(recorder.process.pid, resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))
    recorder.process.send_signal(signal.SIGINT)
    assert recorder.wait() == 1
    assert "episode_000000 cannot be written: File too large" in recorder.log
    assert "Traceback" not in recorder.log
    assert not (recorder.folder / "episode_000000" / "metadata.yaml").exists()


def test_keys_begin_and_end_episodes(record, graph):
    controller, terminal = os.openpty()
    recorder = record(*ROBOT, "--manual", terminal=terminal)
    os.close(terminal)
    recorder.wait_for_log("Enter begins or ends an episode")
    recorder.wait_for_log("no message yet on")
    for line, text in (
        (b"\n", "episode_000000 begins"),
        (b"d\n", "episode_000000 is discarded"),
        (b"\n", "episode_000000 begins"),
    ):
        os.write(controller, line)
        wait_for(lambda text=text: text in recorder.log, text)
    time.sleep(0.5)
    os.write(controller, b"\n")
    recorder.wait_for_log("episode_000000 holds")
    os.write(controller, b"q\n")
    assert recorder.wait() == 0, recorder.log
    os.close(controller)
    assert numbers(recorder.folder / "episode_000000")
