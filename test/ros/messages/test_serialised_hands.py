"""The serialised messages of every frame are those of rclpy; quaternions are those of the rotations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("rclpy", reason="needs ROS 2, by a sourced installation or `make test`")

from geometry_msgs.msg import PoseArray
from helpers.hand_poses import random_pose
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from hand_pose_ros.ros.messages.geometry import quaternions
from hand_pose_ros.ros.messages.joints import joint_poses, serialised_joint_poses
from hand_pose_ros.ros.messages.selection import PublishedHand
from hand_pose_ros.ros.messages.transforms import hand_transforms, serialised_hand_transforms
from hand_pose_ros.rotations import quaternion_from_rotation, rotation_from_vector

HANDS = [
    PublishedHand(random_pose("left", 1), 0, True, ""),
    PublishedHand(random_pose("right", 2), 1, True, "camera_2_"),
    PublishedHand(random_pose("right", 3), 12, False, ""),
]


def header_of(frame_id: str) -> Header:
    header = Header(frame_id=frame_id)
    header.stamp.sec, header.stamp.nanosec = 1_700_000_000, 123_456_789
    return header


def assert_same(found: bytes, other: bytes, expected: TFMessage | PoseArray) -> None:
    """All bytes but the padding, by which ``other`` differs from ``found``, are those of rclpy."""
    reference, first, second = (
        np.frombuffer(one, np.uint8) for one in (serialize_message(expected), found, other)
    )
    assert len(first) == len(reference)
    written = first == second
    assert written.mean() > 0.8
    np.testing.assert_array_equal(first[written], reference[written])
    assert deserialize_message(found, type(expected)) == expected


@pytest.mark.parametrize("frame_id", ["c", "cam", "camera", "camera_optical_frame"])
@pytest.mark.parametrize("joints", [True, False])
@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_transforms(frame_id, joints, count):
    header, hands = header_of(frame_id), HANDS[:count]
    expected = TFMessage(transforms=[one for each in hands for one in hand_transforms(each, header, joints)])
    found, other = (serialised_hand_transforms(hands, header, joints, padding) for padding in (0, 255))
    assert_same(found, other, expected)


@pytest.mark.parametrize("frame_id", ["", "c", "cam", "camera", "camera_optical_frame"])
@pytest.mark.parametrize("published", HANDS)
def test_joints(frame_id, published):
    header = header_of(frame_id)
    found, other = (serialised_joint_poses(published, header, padding) for padding in (0, 255))
    assert_same(found, other, joint_poses(published, header))


def test_quaternions_are_those_of_the_rotations():
    generator = torch.Generator().manual_seed(0)
    vectors = 3 * torch.randn(500, 3, generator=generator, dtype=torch.float64)
    half_turns = torch.pi * torch.eye(3, dtype=torch.float64)
    rotations = rotation_from_vector(torch.cat((vectors, half_turns, 0 * half_turns)))
    expected = quaternion_from_rotation(rotations).numpy()
    np.testing.assert_allclose(quaternions(rotations.numpy()), expected, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(quaternions(rotations[7].numpy()), quaternions(rotations.numpy())[7])
    assert np.isnan(quaternions(np.full((2, 3, 3), np.nan))).all()
