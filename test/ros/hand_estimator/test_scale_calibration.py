"""The live ~/calibrate_scale: the size from a depth image or a marker, its use afterwards, and refusals."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
from helpers.fake_hand_estimator import ANCHOR_LENGTH_M, Command
from helpers.hand_estimator_harness import CAMERA, FAKE, NAMESPACE, NODE, Camera, Estimator, fake_environment
from helpers.ros_harness import wait_for
from helpers.scale_evidence import MARKER_M, open_pose, rendered, with_marker
from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import PointCloud2
from sensor_msgs_py.point_cloud2 import read_points
from std_msgs.msg import Header
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
    camera.depth = image_message(np.zeros((1, 1, 3), np.uint8), Header())
    millimetres = np.nan_to_num(1e3 * picture().depth_m).astype("<u2")
    camera.depth.height, camera.depth.width = millimetres.shape
    camera.depth.encoding, camera.depth.step = "16UC1", 2 * millimetres.shape[1]
    camera.depth.data = type(camera.depth.data)("B", millimetres.tobytes())
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
