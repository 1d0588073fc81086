"""The live ~/calibrate_scale: the size from a depth image or a marker, its use afterwards, and refusals."""

from __future__ import annotations

import array
import time
from collections.abc import Iterator

import numpy as np
import pytest
from helpers.fake_hand_estimator import ANCHOR_LENGTH_M, Command
from helpers.hand_estimator_harness import (
    CAMERA,
    FAKE,
    NAMESPACE,
    NODE,
    OK,
    Camera,
    Estimator,
    fake_environment,
)
from helpers.ros_harness import wait_for
from helpers.scale_evidence import MARKER_M, open_pose, rendered, with_marker
from lifecycle_msgs.msg import Transition
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image, PointCloud2
from sensor_msgs_py.point_cloud2 import read_points
from std_msgs.msg import Float64MultiArray, Header
from std_srvs.srv import Trigger

from hand_pose_ros.ros.hand_estimator.scale_calibration import DURATION_S
from hand_pose_ros.ros.messages.camera import image_message

FACTOR = 1.06
ASSUMED_WRIST_M = (-0.1, 0.05, 0.5)
SIZE_M = FACTOR * ANCHOR_LENGTH_M
WRIST_M = (FACTOR * -0.1, FACTOR * 0.05, FACTOR * 0.5)


@pytest.fixture
def estimator(start_node, listener, repository) -> Iterator[Estimator]:
    process = start_node(
        FAKE,
        namespace=NAMESPACE,
        environment=fake_environment(repository),
        parameters={"scale_marker_m": MARKER_M},
    )
    result = Estimator(process, listener)
    result.activate()
    yield result
    assert process.running, process.log


@pytest.fixture
def camera(listener) -> Iterator[Camera]:
    """It sees one open hand, which is 6 % larger and farther away than the pipeline assumes."""
    result = Camera(listener)
    result.image = image_message(picture().image, Header())
    yield result
    result.close()


def picture():
    return rendered(CAMERA, SIZE_M, WRIST_M, grey=int(Command.ONE_HAND))


def depth_message() -> Image:
    """The depth of the picture in millimetres."""
    millimetres = np.nan_to_num(1e3 * picture().depth_m).astype("<u2")
    height, width = millimetres.shape
    message = Image(height=height, width=width, encoding="16UC1", step=2 * width)
    message.data = array.array("B", millimetres.tobytes())
    return message


def calibrate(listener) -> Trigger.Response:
    return listener.call(Trigger, f"{NODE}/calibrate_scale", Trigger.Request())


def wrist_of(recorder) -> np.ndarray | None:
    if not recorder.messages or not recorder.messages[-1].width:
        return None
    first = read_points(recorder.messages[-1])[0]
    return np.array([first[axis] for axis in "xyz"])


def is_at(recorder, place) -> bool:
    wrist = wrist_of(recorder)
    return wrist is not None and bool(np.linalg.norm(wrist - place) < 0.01)


def test_a_depth_image_gives_the_size_which_is_used_from_then_on(estimator, camera, listener):
    hands = listener.subscribe(PointCloud2, f"/{NAMESPACE}/hands")
    wait_for(lambda: is_at(hands, ASSUMED_WRIST_M), "the hand at its assumed place")
    camera.depth = depth_message()
    began_s, before = time.monotonic(), len(hands)
    answer = calibrate(listener)
    assert answer.success, answer.message
    assert time.monotonic() - began_s >= DURATION_S
    assert len(hands) > before, "the node went on"
    size_m = float(answer.message.split()[2])
    assert size_m == pytest.approx(SIZE_M, rel=0.01)
    assert "the depth image" in answer.message
    assert f"hand_size_m:={size_m:.4f}" in answer.message
    wait_for(lambda: is_at(hands, WRIST_M), "the hand at its true place")
    assert listener.call(Trigger, f"{NODE}/reset", Trigger.Request()).success
    count = len(hands)
    wait_for(lambda: len(hands) > count + 5, "hands after the reset")
    assert is_at(hands, WRIST_M)


def test_with_use_depth_the_size_of_each_track_is_learnt_and_published(
    start_node, listener, repository, camera
):
    sizes = listener.subscribe(
        Float64MultiArray,
        f"/{NAMESPACE}/hand_sizes",
        QoSProfile(depth=5, durability=DurabilityPolicy.TRANSIENT_LOCAL),
    )
    hands = listener.subscribe(PointCloud2, f"/{NAMESPACE}/hands")
    camera.depth = depth_message()
    parameters = {"diagnostics_period_s": 0.2}
    process = start_node(
        FAKE, namespace=NAMESPACE, environment=fake_environment(repository), parameters=parameters
    )
    estimator = Estimator(process, listener)
    assert listener.set_parameters(NODE, {"use_depth": True})[0][0]  # before it is configured
    estimator.activate()

    def is_learnt() -> bool:
        row = np.array(sizes.messages[-1].data) if sizes.messages else np.empty(0)
        return row.size == 4 and bool(abs(row[1] - SIZE_M) < 0.003) and bool(row[2] < 0.004)

    wait_for(is_learnt, "the size of the track")
    wrist = wait_for(lambda: wrist_of(hands) is not None, "a hand")
    wait_for(lambda: np.linalg.norm(wrist_of(hands) - WRIST_M) < 0.02, f"the hand at its place, not {wrist}")

    def is_in_diagnostics() -> bool:
        status = estimator.wait_for_status("estimator", OK)
        return "standard deviation" in {one.key: one.value for one in status.values}["hand sizes"]

    wait_for(is_in_diagnostics, "the size in the diagnostics")
    assert process.running, process.log


def test_a_marker_gives_the_size(estimator, camera, listener):
    drawn = with_marker(picture().image, CAMERA, open_pose(SIZE_M, WRIST_M))
    camera.image = image_message(drawn, Header())
    answer = calibrate(listener)
    assert answer.success, answer.message
    assert "the marker" in answer.message
    assert float(answer.message.split()[2]) == pytest.approx(SIZE_M, rel=0.02)
    sigma_m = float(answer.message.split("standard deviation ")[1].split()[0])
    assert 0.001 < sigma_m < 0.006


def test_without_evidence_or_a_hand_it_is_refused_and_the_size_stays(estimator, camera, listener):
    hands = listener.subscribe(PointCloud2, f"/{NAMESPACE}/hands")
    answer = calibrate(listener)
    assert not answer.success
    for part in (f"no depth image came on /{NAMESPACE}/depth", "no marker", "hand_length_m", "second"):
        assert part in answer.message
    assert is_at(hands, ASSUMED_WRIST_M)
    camera.image = image_message(np.full((480, 640, 3), int(Command.NO_HANDS), np.uint8), Header())
    wait_for(lambda: hands.messages[-1].width == 0, "no hand")
    answer = calibrate(listener)
    assert not answer.success
    assert "a hand was seen in" in answer.message
    camera.pause()
    answer = calibrate(listener)
    assert not answer.success
    assert "image" in answer.message


def test_a_second_call_meanwhile_and_one_while_inactive_are_refused(estimator, camera, listener):
    client = listener.node.create_client(Trigger, f"{NODE}/calibrate_scale")
    assert client.wait_for_service(30.0)
    time.sleep(0.5)
    first, second = client.call_async(Trigger.Request()), client.call_async(Trigger.Request())
    wait_for(lambda: first.done() and second.done(), "both answers")
    messages = [one.result().message for one in (first, second)]
    assert sum("already" in message for message in messages) == 1
    assert estimator.change_state(Transition.TRANSITION_DEACTIVATE)
    answer = calibrate(listener)
    assert (answer.success, "not active" in answer.message) == (False, True)
    listener.node.destroy_client(client)
