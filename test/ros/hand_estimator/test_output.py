"""What a frame costs and shows: a hand is skinned once, and only for someone who looks."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.hand_poses import detection, invalid_pose, random_pose
from helpers.meshes import tetrahedron

pytest.importorskip("rclpy", reason="needs ROS 2, by a sourced installation or `make test`")

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.mesh import skinning
from hand_pose_ros.pipeline import FrameResult
from hand_pose_ros.pose import Frame, HandPose
from hand_pose_ros.ros.hand_estimator.display import HandDisplay, ShownFrame
from hand_pose_ros.ros.hand_estimator.output import HandPublishers
from hand_pose_ros.ros.hand_estimator.parameters import HandEstimatorParameters
from hand_pose_ros.ros.messages.markers import MESH

HEADER = Header(frame_id="camera")
CAMERA = CameraModel.from_fov(640, 480, 1.0)


class FakePublisher:
    """Keeps what is published."""

    def __init__(self, subscriptions: int) -> None:
        self._subscriptions = subscriptions
        self.messages: list[object] = []

    def get_subscription_count(self) -> int:
        return self._subscriptions

    def publish(self, message: object) -> None:
        self.messages.append(message)


class FakeNode:
    """A node of which the named topics have a subscriber."""

    def __init__(self, *subscribed: str) -> None:
        self._subscribed = subscribed
        self.topics: dict[str, FakePublisher] = {}

    def create_lifecycle_publisher(
        self, kind: type, topic: str, qos: object, **options: object
    ) -> FakePublisher:
        return self.topics.setdefault(topic, FakePublisher(int(topic in self._subscribed)))

    create_publisher = create_lifecycle_publisher


def publish(hands: list[HandPose], *subscribed: str, overlay_mesh: bool = True) -> dict[str, FakePublisher]:
    node = FakeNode(*subscribed)
    image = np.zeros((480, 640, 3), np.uint8)
    detections = [detection(pose.side) for pose in hands]
    result = FrameResult(hands, detections, Frame(image, CAMERA))
    failures: list[str] = []
    publishers = HandPublishers(node, HandDisplay(node, lambda _seconds: None, failures.append))
    publishers.start("")
    publishers.publish(
        result, HEADER, HandEstimatorParameters(overlay_mesh=overlay_mesh, display_rate_hz=0.0)
    )
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s and not all(
        node.topics[topic].messages for topic in {"markers", "image_overlay"} & set(subscribed)
    ):
        time.sleep(0.001)
    publishers.stop()
    assert failures == []
    assert node.topics["markers"].messages.pop().markers[0].action == Marker.DELETEALL
    return node.topics


@pytest.fixture
def skinned(monkeypatch) -> list[str]:
    """The sides of the hands that were skinned."""
    sides: list[str] = []
    skin = skinning.skin

    def counted(frames, side, *rest):
        sides.append(side)
        return skin(frames, side, *rest)

    monkeypatch.setattr(skinning, "skin", counted)
    return sides


@pytest.mark.parametrize("overlay_mesh", [True, False])
@pytest.mark.parametrize(
    "subscribed", [(), ("hands",), ("markers",), ("image_overlay",), ("markers", "image_overlay")]
)
def test_a_hand_is_skinned_once_and_only_for_who_looks(skinned, subscribed, overlay_mesh):
    hands = [random_pose("left", 1), invalid_pose(), random_pose("right", 2)]
    topics = publish(hands, *subscribed, overlay_mesh=overlay_mesh)
    wanted = "markers" in subscribed or ("image_overlay" in subscribed and overlay_mesh)
    assert sorted(skinned) == (["left", "right"] if wanted else [])
    for topic in ("markers", "image_overlay"):
        assert len(topics[topic].messages) == (topic in subscribed)
    assert len(topics["hands"].messages) == len(topics["right/joints"].messages) == 1
    assert all(pose.mesh is None for pose in hands)


def test_a_hands_own_mesh_is_published_as_it_is(skinned):
    own = tetrahedron(np.array((0.0, 0.0, 0.5)))
    topics = publish([replace(random_pose(), mesh=own)], "markers", "image_overlay")
    assert skinned == []
    message = deserialize_message(topics["markers"].messages[0], MarkerArray)
    (mesh,) = (marker for marker in message.markers if marker.ns == MESH)
    assert len(mesh.points) == own.faces.size
    (overlay,) = (deserialize_message(one, Image) for one in topics["image_overlay"].messages)
    image = np.frombuffer(overlay.data, np.uint8).reshape(480, 640, 3)
    middle = CAMERA.project(torch.from_numpy(own.vertices_m).mean(dim=0, keepdim=True)).round().int()
    column, row = middle[0].tolist()
    assert image[row, column].any()


def frame(number: int, hands: list[HandPose], rate_hz: float = 0.0) -> ShownFrame:
    header = Header(frame_id=str(number))
    result = FrameResult(hands, [], Frame(np.zeros((480, 640, 3), np.uint8), CAMERA))
    return ShownFrame([], result, header, HandEstimatorParameters(display_rate_hz=rate_hz))


class SlowDisplay(HandDisplay):
    """A display whose drawing can be held up, and which notes what it draws."""

    def __init__(self, node: FakeNode, failed: list[str]) -> None:
        super().__init__(node, lambda _seconds: None, failed.append)
        self.go, self.began, self.drawn = threading.Event(), threading.Event(), []

    def draw(self, frame: ShownFrame) -> bool:
        self.began.set()
        self.go.wait()
        self.drawn.append(int(frame.header.frame_id))
        if frame.header.frame_id == "3":
            raise OverflowError("too large")
        return True


def test_a_slow_display_holds_up_nobody_and_shows_the_newest():
    failed: list[str] = []
    display = SlowDisplay(FakeNode("markers"), failed)
    display.show(frame(0, []))  # not started: nothing happens
    display.start()
    display.show(frame(1, []))
    display.began.wait()
    for number in (2, 3):
        display.show(frame(number, []))  # returns, though the first one is still drawn
    assert display.drawn == []
    display.go.set()
    while not failed:
        time.sleep(0.001)
    display.show(frame(4, []))  # a failure ends nothing
    while display.drawn[-1] != 4:
        time.sleep(0.001)
    display.stop()
    display.stop()
    assert display.drawn == [1, 3, 4]
    assert failed == ["a frame was not shown: OverflowError: too large"]


def test_the_rate_of_the_display_is_limited():
    display = SlowDisplay(FakeNode("markers"), [])
    display.go.set()
    display.start()
    display.show(frame(1, [], rate_hz=1e-3))
    while display.drawn != [1]:
        time.sleep(0.001)
    for number in (2, 3):
        display.show(frame(number, []))
    time.sleep(0.1)
    assert display.drawn == [1]  # the next one is due in 1,000 s
    display.stop()  # ends at once all the same
