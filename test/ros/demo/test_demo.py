"""`make demo` as its user sees it: what it prints and leaves behind, how it ends, and that nothing runs on."""

from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.ros_harness import START_TIMEOUT_S, wait_for
from helpers.teleop_harness import demo_robot
from helpers.teleoperation import assert_safe
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.rosbag2 import Reader

from hand_pose_ros import hand
from hand_pose_ros.rendering.clip import render_clip

IMAGES = 60
NAMESPACE = "/hand_pose"
pytestmark = pytest.mark.live

Start = Callable[..., subprocess.Popen]


@pytest.fixture
def start_demo(repository: Path, tmp_path: Path) -> Iterator[Start]:
    """Start the demo as `make demo` does, from a folder with a space; output goes to ``out`` and ``log``."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    processes = []

    def start(**options: object) -> subprocess.Popen:
        command = [sys.executable, "-m", "hand_pose_ros", "demo", "--output", "out"]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    "PYTHONPATH": f"{repository}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
                },
            )
        processes.append(process)
        process.folder = folder
        return process

    yield start
    for process in processes:
        process.kill()  # its nodes end with it
        process.wait()


@pytest.fixture(scope="session")
def hand_images(tmp_path_factory) -> Path:
    """A folder of images of one hand that hardly moves."""
    folder = tmp_path_factory.mktemp("hand images")
    first = next(render_clip(duration_s=0.04)).rendering.image
    for number in range(IMAGES):
        cv2.imwrite(str(folder / f"{number}.jpg"), first)
    return folder


def log(process: subprocess.Popen) -> str:
    return (process.folder / "log").read_text(errors="replace")


def nodes_of(process: subprocess.Popen) -> dict[str, int]:
    """Name -> process id of the nodes that a demo has started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    result = {}
    for child in children.read_text().split() if children.exists() else []:
        command = Path(f"/proc/{child}/cmdline").read_bytes().decode(errors="replace")
        # A child that has just been forked still looks like its parent.
        if match := re.search(r"hand_pose_ros\.ros\.(\w+)\.process", command):
            result[match[1]] = int(child)
    return result


def wait_for_nodes(process: subprocess.Popen, count: int = 2) -> dict[str, int]:
    wait_for(lambda: len(nodes_of(process)) == count, f"{count} nodes", START_TIMEOUT_S)
    return nodes_of(process)


def assert_gone(pids: dict[str, int]) -> None:
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids.values()), "the nodes to end")


def message_class(msgtype: str) -> type:
    package, _, name = msgtype.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), name)


def read(bag: Path) -> dict[str, list]:
    """Topic -> messages, read by ROS' own deserialiser."""
    topics: dict[str, list] = {}
    with Reader(bag) as reader:
        for connection, _, raw in reader.messages():
            topics.setdefault(connection.topic, []).append(
                deserialize_message(bytes(raw), message_class(connection.msgtype))
            )
        assert {c.topic: c.msgcount for c in reader.connections} == {t: len(m) for t, m in topics.items()}
    return topics


def stamps(messages: list) -> list[tuple[int, int]]:
    return [(m.header.stamp.sec, m.header.stamp.nanosec) for m in messages]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_rendered_clip_gives_all_files_and_the_error(start_demo):
    process = start_demo()
    nodes = wait_for(lambda: len(nodes_of(process)) == 2 and nodes_of(process), "two nodes", 300)
    assert process.wait(300) == 0, log(process)
    assert_gone(nodes)
    text = log(process)
    out = process.folder / "out"
    for part in ("of 270 frames", "fps", "detect", "out/hands.mp4", "out/hands.jpg", "out/bag/bag.mcap"):
        assert part in text
    figure = {
        name: float(re.search(rf"{name} +([\d.]+)", text)[1])
        for name in ("hand found", "side right", "absolute MPJPE", "root-relative", "PA-MPJPE", "root depth")
    }
    assert figure["hand found"] > 95
    assert figure["side right"] > 95
    assert figure["absolute MPJPE"] < 40
    assert figure["PA-MPJPE"] < figure["root-relative"] < 30

    capture = cv2.VideoCapture(str(out / "hands.mp4"))
    shown = 0
    while capture.read()[0]:
        shown += 1
    assert shown > 0.3 * 270  # the overlay of a frame is dropped if the next one comes before it is drawn
    assert cv2.imread(str(out / "hands.jpg")).shape == (720, 1440, 3)

    topics = read(out / "bag")
    assert set(topics) == {
        "/tf",
        "/diagnostics",
        *(
            f"{NAMESPACE}/{topic}"
            for topic in ("image/compressed", "image_overlay/compressed", "camera_info")
        ),
        *(f"{NAMESPACE}/{topic}" for topic in ("hands", "markers")),
        *(f"{NAMESPACE}/right/{topic}" for topic in ("joints", "joint_states", "wrist")),
    }
    images = stamps(topics[f"{NAMESPACE}/image/compressed"])
    assert images == sorted(set(images)) == stamps(topics[f"{NAMESPACE}/camera_info"])
    assert len(images) in (270, 271)
    for topic in ("hands", "image_overlay/compressed", "right/joints", "right/joint_states", "right/wrist"):
        messages = topics[f"{NAMESPACE}/{topic}"]
        assert len(messages) > (0.3 if topic.startswith("image_overlay") else 0.8) * 270
        assert set(stamps(messages)[1:]) <= set(images)
        assert {m.header.frame_id for m in messages} == {"camera_optical_frame"}
    frames = {t.child_frame_id for m in topics["/tf"] for t in m.transforms}
    assert {hand.frame_name(joint, "right") for joint in hand.JOINT_NAMES} <= frames
    assert serialize_message(topics["/tf"][0])


@pytest.mark.slow
def test_any_other_input_is_played_to_its_end_without_an_error_figure(start_demo, hand_images):
    process = start_demo(input=hand_images)
    nodes = wait_for_nodes(process)
    assert process.wait(120) == 0, log(process)
    assert_gone(nodes)
    text = log(process)
    assert f"of {IMAGES} frames" in text
    assert "field of view of 60 degrees is assumed" in text
    assert "MPJPE" not in text
    assert len(read(process.folder / "out" / "bag")[f"{NAMESPACE}/right/joints"]) > IMAGES / 2


@pytest.mark.slow
def test_ctrl_c_ends_the_playing_and_the_files_are_there(start_demo, hand_images):
    process = start_demo(input=hand_images)
    nodes = wait_for_nodes(process)
    wait_for(lambda: "fps" in log(process), "the playing", START_TIMEOUT_S)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0, log(process)
    assert_gone(nodes)
    assert all(
        (process.folder / "out" / name).is_file() for name in ("hands.mp4", "hands.jpg", "bag/metadata.yaml")
    )


def test_ctrl_c_while_the_nodes_start_leaves_nothing_running(start_demo, hand_images):
    process = start_demo(input=hand_images)
    nodes = wait_for_nodes(process)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130, log(process)
    assert "interrupted" in log(process)
    assert_gone(nodes)


@pytest.mark.slow
def test_a_node_that_dies_ends_the_demo_with_its_name(start_demo, hand_images):
    process = start_demo(input=hand_images)
    nodes = wait_for_nodes(process)
    wait_for(lambda: "fps" in log(process), "the playing", START_TIMEOUT_S)
    os.kill(nodes["hand_estimator"], signal.SIGKILL)
    assert process.wait(60) == 1, log(process)
    assert "The demo failed: hand_estimator stopped by itself" in log(process)
    assert_gone(nodes)


def test_the_nodes_end_when_the_demo_is_killed(start_demo, hand_images):
    process = start_demo(input=hand_images)
    nodes = wait_for_nodes(process)
    process.kill()
    process.wait()
    assert_gone(nodes)


@pytest.mark.slow
@pytest.mark.parametrize("condition", ["image", "both"])
def test_the_estimator_can_be_shown_the_picture(start_demo, hand_images, condition):
    process = start_demo(input=hand_images, condition=condition)
    assert process.wait(200) == 0, log(process)
    assert len(read(process.folder / "out" / "bag")[f"{NAMESPACE}/right/joints"]) > IMAGES / 2


@pytest.mark.slow
def test_a_robot_hand_follows_and_is_shown_beside_the_hand(start_demo, hand_images):
    process = start_demo(input=hand_images, robot="demo_hand")
    nodes = wait_for_nodes(process, 4)
    assert set(nodes) == {"video_player", "hand_estimator", "teleop", "robot_simulator"}
    assert process.wait(200) == 0, log(process)
    assert_gone(nodes)
    text, out = log(process), process.folder / "out"
    assert "demo_hand follows" in text
    followed, frames = map(int, re.search(r"followed +(\d+) of (\d+) frames, engaged", text).groups())
    assert (
        followed > 5
    )  # the robot engages some seconds of the clock after the first frame, at whatever rate they come
    assert frames > 0.25 * IMAGES
    assert re.search(r"latency +median from the image to the command \d+ ms", text)

    _, frame = cv2.VideoCapture(str(out / "hands.mp4")).read()
    image = cv2.imread(str(hand_images / "0.jpg"))
    assert frame.shape == (image.shape[0], image.shape[1] + image.shape[0], 3)

    topics = read(out / "bag")
    states = topics[f"{NAMESPACE}/right_demo/joint_states"]
    assert [m.data.partition(":")[0] for m in topics[f"{NAMESPACE}/hand_teleop/state"]][-1] == "disengaged"
    assert topics[f"{NAMESPACE}/robot_description"][0].data.startswith("<?xml")
    assert topics[f"{NAMESPACE}/frame_checker"][0].markers[0].header.frame_id == "robot/right_demo_base"
    frames_of_tf = {t.child_frame_id for m in topics["/tf"] for t in m.transforms}
    assert {"robot/right_demo_index_tip", hand.frame_name("index_tip", "right")} <= frames_of_tf
    fixed = {t.child_frame_id: t for m in topics["/tf_static"] for t in m.transforms}
    assert {"robot/right_demo_base", "hand_pose_view"} <= set(fixed)
    turn = fixed["hand_pose_view"].transform.rotation
    assert (turn.x, turn.y, turn.z, turn.w) == pytest.approx((0.5, 0.5, -0.5, 0.5))

    slow = re.search(r"slow motion +the robot's limits are those of ([\d.]+) of", text)
    velocity_rad_s = 4.0 * (min(1.0, float(slow[1]) + 0.005) if slow else 1.0)
    robot = demo_robot()
    commands = topics[f"{NAMESPACE}/right_demo_controller/joint_trajectory"]
    positions = np.array([m.points[0].positions for m in commands])
    assert_safe(positions, robot.limits(velocity_rad_s, 40.0), 1 / 15)
    np.testing.assert_allclose(states[-1].position, positions[-1], atol=0.05)


def test_a_robot_without_its_urdf_is_told_at_once(start_demo):
    process = start_demo(robot="leap")
    assert process.wait(START_TIMEOUT_S) == 1
    assert "The demo failed: the robot 'leap' needs its URDF: ROBOT_URDF=file" in log(process)
    assert not (process.folder / "out").exists()


def test_a_condition_that_is_none_is_told_in_the_node_s_words(start_demo, hand_images):
    process = start_demo(input=hand_images, condition="smell")
    assert process.wait(START_TIMEOUT_S) == 1
    assert "smell" in log(process)


def test_an_input_that_is_not_there_is_told_at_once(start_demo):
    process = start_demo(input="no such.mp4")
    assert process.wait(START_TIMEOUT_S) == 1
    assert "The demo failed: no video source 'no such.mp4'" in log(process)
    assert not (process.folder / "out").exists()
