"""Serialised messages of our own making are those of rclpy, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2, by a sourced installation or `make test`")

from geometry_msgs.msg import Point
from helpers.hand_poses import random_pose
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from hand_pose_ros.ros.messages.camera import image_message, serialised_image
from hand_pose_ros.ros.messages.cdr import marker_array
from hand_pose_ros.ros.messages.markers import delete_all, markers, serialised_markers
from hand_pose_ros.ros.messages.selection import PublishedHand


def assert_same(expected: MarkerArray, listed: list[Marker], corners: dict[int, np.ndarray]) -> None:
    """All bytes but the padding, which rclpy leaves as it finds it, are equal."""
    found, other = (np.frombuffer(marker_array(listed, corners, padding), np.uint8) for padding in (0, 255))
    reference = np.frombuffer(serialize_message(expected), np.uint8)
    assert len(found) == len(reference)
    written = found == other
    np.testing.assert_array_equal(found[written], reference[written])
    sent = deserialize_message(reference.tobytes(), MarkerArray)  # its colours are rounded to float32
    assert deserialize_message(found.tobytes(), MarkerArray) == sent


@pytest.mark.parametrize("frame_id", ["", "c", "camera", "camera_optical_frame"])
@pytest.mark.parametrize("hands", [0, 1, 2])
def test_the_markers_of_hands(frame_id, hands):
    header = Header(frame_id=frame_id)
    header.stamp.sec, header.stamp.nanosec = 1_700_000_000, 123_456_789
    published = [PublishedHand(random_pose(seed=seed), seed, True) for seed in range(hands)]
    shown = [("mesh", 7), ("skeleton", 8)]
    expected = markers(published, header, 0.5, shown)
    found, keys = serialised_markers(published, header, 0.5, shown)
    reference = np.frombuffer(serialize_message(expected), np.uint8)
    assert len(found) == len(reference)
    assert deserialize_message(found, MarkerArray) == deserialize_message(reference.tobytes(), MarkerArray)
    assert_same(expected, expected.markers, {})
    assert keys == [(one.ns, one.id) for one in expected.markers if one.action == Marker.ADD]


@pytest.mark.parametrize("namespace", ["", "a", "ab", "abc", "abcd", "abcdefgh"])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_every_alignment(namespace, count):
    points = np.random.default_rng(0).normal(size=(count, 3))
    marker = Marker(ns=namespace, id=3, frame_locked=count == 1)
    filled = Marker(ns=namespace, id=3, frame_locked=count == 1)
    filled.points = [Point(x=x, y=y, z=z) for x, y, z in points.tolist()]
    assert_same(MarkerArray(markers=[filled, filled]), [marker, filled], {0: points})


@pytest.mark.parametrize("frame_id", ["", "c", "camera", "camera_optical_frame"])
@pytest.mark.parametrize("size", [(3, 5), (1, 1), (48, 64)])
def test_an_image(frame_id, size):
    header = Header(frame_id=frame_id)
    header.stamp.sec, header.stamp.nanosec = 1_700_000_000, 123_456_789
    image = np.random.default_rng(0).integers(0, 256, (*size, 6), np.uint8)[:, :, ::2]
    found, other = (np.frombuffer(serialised_image(image, header, gap), np.uint8) for gap in (0, 255))
    reference = np.frombuffer(serialize_message(image_message(image, header)), np.uint8)
    np.testing.assert_array_equal(found[found == other], reference[found == other])
    assert deserialize_message(found.tobytes(), Image) == image_message(image, header)


@pytest.mark.parametrize(
    "image", [np.zeros((2, 3), np.uint8), np.zeros((2, 3, 4), np.uint8), np.zeros((2, 3, 3))]
)
def test_what_is_no_image_is_refused(image):
    with pytest.raises(ValueError, match=r"\(H, W, 3\)"):
        serialised_image(image, Header())


def test_a_deletion():
    message = delete_all(Header(frame_id="camera"))
    assert_same(message, message.markers, {})
