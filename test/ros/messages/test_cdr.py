"""Serialised messages of our own making are those of rclpy, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2, by a sourced installation or `make test`")

from helpers.hand_poses import random_pose
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from hand_pose_ros.ros.messages.camera import image_message, serialised_image
from hand_pose_ros.ros.messages.cdr import marker_array
from hand_pose_ros.ros.messages.markers import markers, serialised_markers
from hand_pose_ros.ros.messages.selection import PublishedHand
from hand_pose_ros.ros.messages.shown_marker import ShownMarker, marker_message

LIFETIME_S = 0.75


def header_of(frame_id: str) -> Header:
    header = Header(frame_id=frame_id)
    header.stamp.sec, header.stamp.nanosec = 1_700_000_000, 123_456_789
    return header


def assert_same(shown: list[ShownMarker], header: Header) -> None:
    """All bytes but the padding, which rclpy leaves as it finds it, are equal."""
    expected = MarkerArray(markers=[marker_message(one, header, LIFETIME_S) for one in shown])
    found, other = (
        np.frombuffer(marker_array(shown, header, LIFETIME_S, padding), np.uint8) for padding in (0, 255)
    )
    reference = np.frombuffer(serialize_message(expected), np.uint8)
    assert len(found) == len(reference)
    written = found == other
    assert written.mean() > 0.5
    np.testing.assert_array_equal(found[written], reference[written])
    sent = deserialize_message(reference.tobytes(), MarkerArray)  # its colours are rounded to float32
    assert deserialize_message(found.tobytes(), MarkerArray) == sent


@pytest.mark.parametrize("frame_id", ["", "c", "camera", "camera_optical_frame"])
@pytest.mark.parametrize("hands", [0, 1, 2])
def test_the_markers_of_hands(frame_id, hands):
    header = header_of(frame_id)
    published = [
        PublishedHand(random_pose(seed=seed, covariance=seed == 1), seed, True) for seed in range(hands)
    ]
    shown = [("mesh", 7), ("skeleton", 8)]
    expected = markers(published, header, LIFETIME_S, shown)
    found, keys = serialised_markers(published, header, LIFETIME_S, shown)
    reference = serialize_message(expected)
    assert len(found) == len(reference)
    assert deserialize_message(found, MarkerArray) == deserialize_message(reference, MarkerArray)
    assert keys == [(one.ns, one.id) for one in expected.markers if one.action == Marker.ADD]


@pytest.mark.parametrize("frame_id", ["", "c", "camera", "camera_optical_frame"])
@pytest.mark.parametrize("namespace", ["", "a", "ab", "abc", "abcd", "abcdefgh"])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_every_alignment(frame_id, namespace, count):
    generator = np.random.default_rng(0)
    bare = ShownMarker(namespace, 3, Marker.SPHERE, rgba=(0.1, 0.2, 0.3, 0.4), text="é" * count)
    filled = bare._replace(
        position=(1.0, 2.0, 3.0),
        orientation=(0.5, -0.5, 0.5, 0.5),
        scale=(0.1, 0.2, 0.3),
        points=generator.normal(size=(count, 3)),
        colours=generator.random((count, 4), np.float32),
    )
    gone = ShownMarker(namespace, 4, action=Marker.DELETE)
    assert_same([filled, bare, gone, filled], header_of(frame_id))


@pytest.mark.parametrize("frame_id", ["", "c", "camera", "camera_optical_frame"])
@pytest.mark.parametrize("size", [(3, 5), (1, 1), (48, 64)])
def test_an_image(frame_id, size):
    header = header_of(frame_id)
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
