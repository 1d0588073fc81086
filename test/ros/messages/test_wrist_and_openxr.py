"""Wrist targets, transforms and OpenXR's joints as messages."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from types import ModuleType

import numpy as np
import pytest
from helpers.hand_poses import random_pose
from scipy.spatial.transform import Rotation

pytest.importorskip("rclpy", reason="needs ROS 2, by a sourced installation or `make test`")

from geometry_msgs.msg import TransformStamped
from std_msgs.msg import Header

from hand_pose_ros.retargeting import openxr
from hand_pose_ros.retargeting.wrist.poses import RigidPose
from hand_pose_ros.ros.messages.isaac_teleop import named_hands, named_pose_array_type
from hand_pose_ros.ros.messages.openxr import openxr_names, openxr_poses
from hand_pose_ros.ros.messages.wrist_target import pose_of_transform, target_pose, target_twist

HEADER = Header(frame_id="base_link")


def test_a_target_reads_back_as_a_transform():
    pose = RigidPose(np.array([1.0, 2.0, 3.0]), Rotation.from_euler("xyz", [0.3, -0.4, 2.0]).as_matrix())
    message = target_pose(pose, HEADER)
    assert message.header.frame_id == "base_link"
    transform = TransformStamped()
    transform.transform.rotation = message.pose.orientation
    for axis in "xyz":
        setattr(transform.transform.translation, axis, getattr(message.pose.position, axis))
    back = pose_of_transform(transform)
    np.testing.assert_allclose(back.position_m, pose.position_m)
    np.testing.assert_allclose(back.rotation, pose.rotation, atol=1e-12)
    transform.transform.rotation.x = float("nan")
    with pytest.raises(ValueError, match="not finite"):
        pose_of_transform(transform)


def test_a_twist_has_linear_and_angular_velocity():
    twist = target_twist(np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0]), HEADER).twist
    assert [getattr(twist.linear, axis) for axis in "xyz"] == [1, 2, 3]
    assert [getattr(twist.angular, axis) for axis in "xyz"] == [4, 5, 6]


def test_openxr_poses_are_the_converted_hand():
    pose = random_pose("left", 5)
    message = openxr_poses(pose.joints_m, pose.rotations, HEADER)
    expected = openxr.openxr_hand(pose.joints_m, pose.rotations)
    for one, position, rotation in zip(message.poses, *expected, strict=True):
        np.testing.assert_allclose([one.position.x, one.position.y, one.position.z], position)
        quaternion = [one.orientation.x, one.orientation.y, one.orientation.z, one.orientation.w]
        np.testing.assert_allclose(Rotation.from_quat(quaternion).as_matrix(), rotation, atol=1e-5)
    described = json.loads(openxr_names().data)
    assert described == {"names": list(openxr.JOINT_NAMES), "tracked": list(openxr.TRACKED)}
    with pytest.raises(ValueError, match="not finite"):
        openxr_poses(np.full((21, 3), np.nan), pose.rotations, HEADER)


@dataclass
class NamedPoseArray:
    """The fields of IsaacTeleop's message, whose package is not there."""

    header: Header = field(default_factory=Header)
    name: list = field(default_factory=list)
    pose: list = field(default_factory=list)
    is_valid: list = field(default_factory=list)


def test_isaac_teleop_gets_both_hands_without_palms_and_a_missing_one_as_invalid():
    pose = random_pose("right", 5)
    poses = openxr_poses(pose.joints_m, pose.rotations, HEADER)
    message = named_hands(NamedPoseArray, {"right": poses}, HEADER)
    assert len(message.name) == len(message.pose) == len(message.is_valid) == 50
    assert (message.name[0], message.name[24], message.name[25]) == (
        "left_WRIST",
        "left_LITTLE_TIP",
        "right_WRIST",
    )
    assert message.is_valid == [False] * 25 + [True] * 25
    assert message.pose[25:] == list(poses.poses)[1:]
    assert message.pose[0].position.z == 0.0


def test_without_isaac_teleop_s_package_there_is_no_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "teleop_ros2_interfaces", None)
    monkeypatch.setitem(sys.modules, "teleop_ros2_interfaces.msg", None)
    assert named_pose_array_type() is None
    package = ModuleType("teleop_ros2_interfaces.msg")
    package.NamedPoseArray = NamedPoseArray
    monkeypatch.setitem(sys.modules, "teleop_ros2_interfaces", ModuleType("teleop_ros2_interfaces"))
    monkeypatch.setitem(sys.modules, "teleop_ros2_interfaces.msg", package)
    assert named_pose_array_type() is NamedPoseArray
