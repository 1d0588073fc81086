"""The video_player as a process on real DDS: what it publishes, when, and how it is steered and stopped."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.ros_harness import BEST_EFFORT, RELIABLE, wait_for
from sensor_msgs.msg import CameraInfo, Image

from hand_pose_ros.camera.calibration import camera_from_message, save_calibration
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.ros.video_player.node import next_stamp_ns

PLAYER = "hand_pose_ros.ros.video_player.process"
WIDTH, HEIGHT, FRAMES = 64, 48, 20


def stamp_s(message: Image | CameraInfo) -> float:
    return message.header.stamp.sec + message.header.stamp.nanosec * 1e-9


def pixels(message: Image) -> np.ndarray:
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)


@pytest.fixture
def numbered_images(tmp_path: Path) -> Path:
    """A folder of images, each of one grey level that says its number."""
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(FRAMES):
        cv2.imwrite(str(folder / f"{index}.png"), np.full((HEIGHT, WIDTH, 3), 10 * index, np.uint8))
    return folder


def numbers(messages: list[Image]) -> list[int]:
    return [int(pixels(message)[0, 0, 0]) // 10 for message in messages]


def test_every_image_arrives_in_order_with_its_calibration(start_node, listener, numbered_images):
    images = listener.subscribe(Image, "/camera/image")
    infos = listener.subscribe(CameraInfo, "/camera/camera_info")
    player = start_node(
        PLAYER,
        namespace="camera",
        parameters={
            "source": str(numbered_images),
            "wait_for_subscriber": True,
            "horizontal_fov_deg": 60.0,
            "frame_id": "cam",
        },
    )
    assert player.wait() == 0
    received = images.wait_for(FRAMES)
    assert numbers(received) == list(range(FRAMES))
    assert {(m.encoding, m.width, m.height, m.step) for m in received} == {("bgr8", WIDTH, HEIGHT, 3 * WIDTH)}
    stamps = [stamp_s(m) for m in received]
    np.testing.assert_allclose(np.diff(stamps), 1 / 30, atol=2e-3)
    calibrations = infos.wait_for(FRAMES)
    assert [stamp_s(m) for m in calibrations] == stamps
    assert {m.header.frame_id for m in (*received, *calibrations)} == {"cam"}
    expected = CameraModel.from_fov(WIDTH, HEIGHT, np.deg2rad(60))
    assert {camera_from_message(m) for m in calibrations} == {expected}


def test_subscribers_of_either_reliability_are_served(start_node, listener, numbered_images):
    recorders = [listener.subscribe(Image, "/image", qos) for qos in (RELIABLE, BEST_EFFORT)]
    start_node(PLAYER, parameters={"source": str(numbered_images), "loop": True})
    for recorder in recorders:
        recorder.wait_for(5)


def test_rate_loop_and_position_are_set_while_it_plays(start_node, listener, numbered_images):
    images = listener.subscribe(Image, "/image")
    start_node(
        PLAYER, parameters={"source": str(numbered_images), "loop": True, "start_s": 0.5, "rate_hz": 50.0}
    )
    first = numbers(images.wait_for(20))
    assert set(first) == set(range(15, 20))  # 0.5 s at 30 Hz
    assert [b for a, b in pairwise(first) if a == 19] == [15] * first[:-1].count(19)

    assert listener.set_parameters("/video_player", {"start_s": 0.1}) == [(True, "")]
    wait_for(lambda: numbers(images.messages[-1:]) == [3], "the new position")
    assert listener.set_parameters("/video_player", {"rate_hz": 0.1, "loop": False}) == [(True, "")] * 2
    count = len(images)
    time.sleep(0.3)
    assert len(images) <= count + 1  # one every ten seconds
    assert listener.set_parameters("/video_player", {"rate_hz": 0}) == [(True, "")]
    wait_for(lambda: numbers(images.messages[-1:]) == [19], "the end, as fast as possible")


def test_impossible_settings_are_refused_with_a_reason(start_node, listener, numbered_images):
    player = start_node(PLAYER, parameters={"source": str(numbered_images), "loop": True})
    for name, value, reason in (
        ("start_s", 1e3, "less than the source's 0.667 s"),
        ("rate_hz", -0.5, "rate_hz must be -1, 0 or positive"),
        ("rate_hz", 1e6, "rate_hz"),
        ("source", "clip", "only be set when the node starts"),
        ("loop", "yes", "type"),
    ):
        ((successful, why),) = listener.set_parameters("/video_player", {name: value})
        assert (successful, reason in why) == (False, True), why
    assert listener.get_parameters("/video_player", ["rate_hz", "loop"]) == {"rate_hz": -1.0, "loop": True}
    assert player.interrupt() == 0


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"source": "nowhere.mp4"}, "no video source 'nowhere.mp4'"),
        ({"source": 98}, "no webcam 98"),
        ({"rate_hz": -7}, "rate_hz"),
        ({"calibration_file": "absent.yaml"}, "absent.yaml"),
    ],
)
def test_a_start_that_cannot_work_ends_with_one_line_and_code_1(
    start_node, numbered_images, parameters, reason
):
    player = start_node(PLAYER, parameters={"source": str(numbered_images), **parameters})
    assert player.wait() == 1
    assert reason in player.log
    assert "Traceback" not in player.log


def test_a_calibration_of_another_size_ends_the_node(start_node, numbered_images, tmp_path):
    save_calibration(tmp_path / "big.yaml", CameraModel.from_fov(1280, 720, 1.0))
    player = start_node(
        PLAYER, parameters={"source": str(numbered_images), "calibration_file": str(tmp_path / "big.yaml")}
    )
    assert player.wait() == 1
    assert f"the calibration is for 1280x720, but the images are {WIDTH}x{HEIGHT}" in player.log


def test_interrupt_ends_it_quietly(start_node, listener, numbered_images):
    images = listener.subscribe(Image, "/image")
    player = start_node(PLAYER, parameters={"source": str(numbered_images), "loop": True, "rate_hz": 0})
    images.wait_for(50)
    assert player.interrupt() == 0
    assert "Traceback" not in player.log
    assert "rror" not in player.log


def test_an_uncalibrated_camera_is_said_once_and_published_as_such(start_node, listener, numbered_images):
    infos = listener.subscribe(CameraInfo, "/camera_info")
    player = start_node(PLAYER, parameters={"source": str(numbered_images), "loop": True})
    assert not any(infos.wait_for(3)[0].k)
    player.interrupt()
    assert player.log.count("not calibrated") == 1


def test_a_real_bag_plays_with_its_own_calibration(start_node, listener, shared_data):
    images = listener.subscribe(Image, "/image")
    infos = listener.subscribe(CameraInfo, "/camera_info")
    player = start_node(
        PLAYER,
        parameters={
            "source": str(shared_data / "rosbags" / "hankpan_141122079464_compressed_db3"),
            "wait_for_subscriber": True,
            "start_s": 3.0,
        },
    )
    assert player.wait() == 0
    count = 148 - 90
    stamps = [stamp_s(m) for m in images.wait_for(count)]
    np.testing.assert_allclose(np.diff(stamps), 1 / 30, atol=5e-3)
    (camera,) = {camera_from_message(m) for m in infos.wait_for(count)}
    assert camera.fx == pytest.approx(605, rel=0.2)


def test_no_image_of_the_real_video_is_lost_on_best_effort(start_node, listener, shared_data):
    """The shipped profile's segment holds whole 1280x720 images; with the default one most of these are lost."""
    (video,) = (shared_data / "sequences" / "dex_retargeting").rglob("*.mp4")
    images = listener.subscribe(Image, "/image", BEST_EFFORT)
    player = start_node(
        PLAYER,
        parameters={"source": str(video), "wait_for_subscriber": True, "start_s": 16.0, "rate_hz": 30.0},
    )
    assert player.wait() == 0
    expected = 621 - 480
    wait_for(lambda: len(images) >= 0.97 * expected, "nearly all images")
    assert {(m.width, m.height) for m in images.messages} == {(1280, 720)}


def test_stamps_rise_but_follow_a_clock_that_was_set_back():
    last, stamps = 0, []
    for now_ns in (5_000_000_000, 5_000_000_000, 4_999_000_000, 1_000_000_000, 1_100_000_000):
        last = next_stamp_ns(now_ns, last)
        stamps.append(last)
    assert stamps == [5_000_000_000, 5_000_000_001, 5_000_000_002, 1_000_000_000, 1_100_000_000]
