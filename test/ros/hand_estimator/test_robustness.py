"""What the world does to a hand_estimator: it keeps running, logs once, shows it in /diagnostics, and recovers."""

from __future__ import annotations

import array
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from helpers.fake_hand_estimator import Command
from helpers.hand_estimator_harness import (
    CAMERA,
    ERROR,
    FAKE,
    NAMESPACE,
    NODE,
    OK,
    WARN,
    Camera,
    Estimator,
    fake_environment,
    picture,
    raw_image,
)
from helpers.ros_harness import Listener, NodeProcess, Recorder, wait_for
from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.ros.messages.camera import camera_info_message

WIDTH, HEIGHT = CAMERA.width, CAMERA.height


@dataclass
class Graph:
    """One node that all tests of this module torment, one camera, one listener."""

    estimator: Estimator
    camera: Camera
    listener: Listener
    hands: Recorder

    def assert_silent(self) -> None:
        """No hands are published while images come."""
        published, sent = len(self.hands), len(self.camera.sent_stamps)
        wait_for(lambda: len(self.camera.sent_stamps) >= sent + 5, "five more images")
        assert len(self.hands) <= published + 1  # one may have been on its way

    def assert_recovers(self) -> None:
        """With normal images all is well again."""
        self.camera.back_to_normal()
        count = len(self.hands)
        self.hands.wait_for(count + 3)
        self.estimator.wait_for_status("camera", OK, "640x480 bgr8")
        self.estimator.wait_for_status("estimator", OK, "2 hands")

    def assert_logged_once(self, text: str) -> None:
        """The text is in one line, beside the one that says that it is over."""
        log = self.estimator.process.log
        assert sum(text in line and ": over: " not in line for line in log.splitlines()) == 1, log


@pytest.fixture(scope="module")
def running(ros_domain: int, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    process = NodeProcess(
        FAKE,
        log_path=tmp_path_factory.mktemp("log") / "node.log",
        namespace=NAMESPACE,
        environment=fake_environment(repository),
        parameters={"diagnostics_period_s": 0.1, "image_timeout_s": 0.5},
    )
    with Listener() as listener:
        camera = Camera(listener)
        try:
            estimator = Estimator(process, listener)
            estimator.activate()
            hands = listener.subscribe(PointCloud2, f"/{NAMESPACE}/hands")
            yield Graph(estimator, camera, listener, hands)
            assert process.running, process.log
            assert "Traceback" not in process.log
        finally:
            camera.close()
            process.end()


@pytest.fixture
def graph(running: Graph) -> Graph:
    """The running node, in good health at the beginning of the test."""
    running.assert_recovers()
    return running


def test_no_images(graph):
    graph.camera.pause()
    graph.estimator.wait_for_status("camera", ERROR, f"no image on /{NAMESPACE}/image")
    status = graph.estimator.wait_for_status("camera", ERROR, "its publisher listener is silent")
    assert float({v.key: v.value for v in status.values}["time since the last image (s)"]) > 0.5
    time.sleep(0.5)
    graph.assert_logged_once("no image on")
    graph.assert_recovers()


def test_images_before_camera_info(graph):
    graph.camera.info = None
    assert graph.estimator.change_state(Transition.TRANSITION_DEACTIVATE)
    assert graph.estimator.change_state(Transition.TRANSITION_ACTIVATE)
    graph.estimator.wait_for_status("camera", WARN, f"no camera_info on /{NAMESPACE}/camera_info")
    graph.assert_silent()
    graph.assert_logged_once("but no camera_info")
    graph.assert_recovers()


def test_uncalibrated_camera(graph):
    graph.camera.info = camera_info_message(None, WIDTH, HEIGHT, Header())
    status = graph.estimator.wait_for_status("camera", ERROR, "this camera is not calibrated")
    assert {v.key: v.value for v in status.values}["calibration"] == "none"
    graph.assert_silent()
    graph.assert_logged_once("not calibrated")
    graph.assert_recovers()


def test_calibration_that_is_not_valid(graph):
    graph.camera.info = camera_info_message(CAMERA, WIDTH, HEIGHT, Header())
    graph.camera.info.k[4] = np.nan
    graph.estimator.wait_for_status("camera", ERROR, "K must be finite")
    graph.assert_silent()
    graph.assert_recovers()


def test_camera_info_of_another_size(graph):
    other = CameraModel.from_fov(1280, 720, 1.0)
    graph.camera.info = camera_info_message(other, 1280, 720, Header())
    graph.estimator.wait_for_status("camera", ERROR, "the image is 640x480, but")
    graph.assert_silent()
    graph.assert_logged_once("describes 1280x720")
    graph.assert_recovers()


def test_binning_explains_another_size(graph):
    other = CameraModel.from_fov(2 * WIDTH, 2 * HEIGHT, 1.0)
    info = camera_info_message(other, 2 * WIDTH, 2 * HEIGHT, Header())
    info.binning_x = info.binning_y = 2
    graph.camera.info = info
    count = len(graph.hands)
    graph.hands.wait_for(count + 5)
    assert graph.estimator.status("camera").level == OK


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (raw_image(WIDTH, HEIGHT, "bgr8", WIDTH, 3 * WIDTH * HEIGHT), "step is 640 bytes"),
        (raw_image(WIDTH, HEIGHT, "bgr8", 3 * WIDTH, 1000), "the data are truncated: 1000 bytes"),
        (raw_image(WIDTH, HEIGHT, "bgr8", 3 * WIDTH, 0), "the data are truncated: 0 bytes"),
        (raw_image(WIDTH, HEIGHT, "fancy12", 3 * WIDTH, 3 * WIDTH * HEIGHT), "'fancy12' is not supported"),
        (raw_image(0, 0, "bgr8", 0, 0), "its size is 0x0"),
    ],
    ids=["step", "truncated", "empty", "encoding", "zero size"],
)
def test_malformed_images(graph, image, reason):
    time.sleep(1)  # lines about one kind of fault keep this distance
    graph.camera.image = image
    graph.estimator.wait_for_status("camera", ERROR, reason)
    graph.assert_silent()
    graph.assert_logged_once(reason)
    graph.assert_recovers()


def test_an_8k_image(graph):
    width, height = 7680, 4320
    big = CameraModel.from_fov(width, height, 1.0)
    image = raw_image(width, height, "mono8", width, width * height, int(Command.BOTH_HANDS))
    graph.camera.image = image
    graph.estimator.wait_for_status("camera", ERROR, "the image is 7680x4320")
    graph.camera.info = camera_info_message(big, width, height, Header())
    graph.estimator.wait_for_status("camera", OK, "7680x4320 mono8")
    graph.assert_recovers()


@pytest.mark.parametrize(
    ("encoding", "pixel"),
    [
        ("mono8", [40]),
        ("rgb8", [40] * 3),
        ("bgr8", [40] * 3),
        ("bgra8", [40, 40, 40, 255]),
        ("rgba8", [40, 40, 40, 255]),
        ("yuv422_yuy2", [50, 128]),
        ("yuv422", [128, 50]),
        ("16UC1", [0xFF, 40]),
        ("mono16", [0xFF, 40]),
        ("bayer_rggb8", [40]),
    ],
)
def test_every_common_encoding(graph, encoding, pixel):
    image = raw_image(WIDTH, HEIGHT, encoding, len(pixel) * WIDTH, 0)
    image.data = array.array("B", bytes(pixel) * (WIDTH * HEIGHT))
    graph.camera.image = image
    graph.estimator.wait_for_status("camera", OK, f"640x480 {encoding}")
    count = len(graph.hands)
    graph.hands.wait_for(count + 3)


def test_stamps_that_go_back(graph):
    graph.camera.stamp_ns = lambda number: time.time_ns() - 5_000_000_000
    wait_for(lambda: "went back in time" in graph.estimator.process.log, "the line about it")
    graph.estimator.wait_for_status("camera", OK)
    graph.assert_logged_once("went back in time by 4.9")
    graph.assert_recovers()


def test_a_jump_back_is_in_the_diagnostics(graph):
    def seen() -> bool:
        graph.camera.stamp_ns = lambda number: time.time_ns() - (number % 2) * 1_000_000_000
        status = graph.estimator.status("camera")
        return status.level == WARN and "all tracks were reset" in status.message

    wait_for(seen, "the warning")
    graph.assert_recovers()


def test_repeated_and_missing_stamps(graph):
    still = time.time_ns()
    graph.camera.stamp_ns = lambda number: still
    graph.estimator.wait_for_status("camera", WARN, "repeat their stamps")
    time.sleep(1)
    graph.camera.stamp_ns = lambda number: 0
    graph.estimator.wait_for_status("camera", WARN, "have no time stamps")
    count = len(graph.hands)
    message = graph.hands.wait_for(count + 3)[-1]
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (0, 0)
    graph.assert_logged_once("repeat their stamps")
    graph.assert_recovers()


def test_images_without_a_frame(graph):
    graph.camera.frame_id = ""
    graph.estimator.wait_for_status("camera", WARN, "name no frame")
    graph.camera.frame_id = "camera"
    graph.assert_recovers()


def test_images_of_two_cameras_on_one_topic(graph):
    other = Camera(graph.listener)
    other.frame_id = "other_camera"
    try:
        status = graph.estimator.wait_for_status("camera", WARN, "come with different frames")
        assert "camera, other_camera" in status.message
    finally:
        other.close()
    graph.assert_recovers()


def test_a_lens_that_folds_inside_the_image(graph):
    lens = CameraModel(WIDTH, HEIGHT, 300.0, 300.0, 319.5, 239.5, "plumb_bob", (0, 0, 0, 0, -0.3))
    graph.camera.info = camera_info_message(lens, WIDTH, HEIGHT, Header())
    graph.estimator.wait_for_status(
        "camera", WARN, "the calibration does not cover the image beyond that radius"
    )
    lens = CameraModel(WIDTH, HEIGHT, 600.0, 600.0, 319.5, 239.5, "plumb_bob", (900.0, 0, 0, 0, 0))
    graph.camera.info = camera_info_message(lens, WIDTH, HEIGHT, Header())
    graph.estimator.wait_for_status("camera", ERROR, "no lens has the distortion coefficients")
    graph.assert_silent()
    graph.assert_recovers()


def test_a_detector_that_raises(graph):
    graph.camera.image = picture(Command.RAISE)
    graph.estimator.wait_for_status("estimator", ERROR, "RuntimeError: the detector's cable is loose")
    graph.assert_silent()
    graph.assert_logged_once("a frame was lost to RuntimeError")
    graph.assert_recovers()
    values = {v.key: v.value for v in graph.estimator.status("estimator").values}
    assert "cable is loose" in values["last error"]


def test_a_hand_that_cannot_be_estimated(graph):
    graph.camera.image = picture(Command.NOT_ESTIMATED)
    wait_for(lambda: graph.hands.messages[-1].width == 0, "a cloud without points")
    status = graph.estimator.wait_for_status("estimator", OK, "0 hands")
    assert {v.key: v.value for v in status.values}["why not"] == "it hides behind a cup"
    graph.assert_recovers()


def test_parameters_that_are_refused_at_run_time(graph):
    for name, value, reason in (
        ("marker_lifetime_s", -1.0, "marker_lifetime_s"),
        ("image_timeout_s", 1e9, "image_timeout_s"),
        ("publish_tf", "some", "publish_tf must be one of all, wrist, none"),
        ("hand_size_m", 0.1, "hand_size_m can only be set when the node starts or while it is unconfigured"),
        ("detector", "onnx", "detector can only be set when the node starts or while it is unconfigured"),
        ("tracker.max_hands", "two", "type"),
        ("overlay_mesh", 7, "type"),
    ):
        ((successful, why),) = graph.listener.set_parameters(NODE, {name: value})
        assert (successful, reason in why) == (False, True), why
    values = graph.listener.get_parameters(NODE, ["marker_lifetime_s", "publish_tf", "tracker.max_hands"])
    assert values == {"marker_lifetime_s": 0.5, "publish_tf": "all", "tracker.max_hands": 2}
    graph.assert_recovers()


def test_reset_and_lifecycle_while_images_flow(graph):
    for _ in range(3):
        assert graph.listener.call(Trigger, f"{NODE}/reset", Trigger.Request()).success
        assert graph.estimator.change_state(Transition.TRANSITION_DEACTIVATE)
        graph.estimator.wait_for_status("camera", OK, "the node is inactive")
        graph.assert_silent()
        assert graph.estimator.change_state(Transition.TRANSITION_ACTIVATE)
        graph.assert_recovers()
    assert graph.estimator.change_state(Transition.TRANSITION_DEACTIVATE)
    assert graph.estimator.change_state(Transition.TRANSITION_CLEANUP)
    assert graph.estimator.state == "unconfigured"
    response = graph.listener.call(Trigger, f"{NODE}/reset", Trigger.Request())
    assert (response.success, response.message) == (False, "the node is not configured")
    graph.estimator.activate()
    graph.assert_recovers()


def test_transitions_that_are_not_possible(graph):
    assert not graph.estimator.change_state(Transition.TRANSITION_CONFIGURE)
    assert not graph.estimator.change_state(Transition.TRANSITION_CLEANUP)
    assert graph.estimator.state == "active"
    graph.assert_recovers()
