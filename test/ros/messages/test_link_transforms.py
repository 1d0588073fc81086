"""Transforms of a robot's links are those of its kinematics."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("rclpy", reason="needs ROS 2, by a sourced installation or `make test`")

from std_msgs.msg import Header

from hand_pose_ros.retargeting.demo_hand import demo_hand_urdf
from hand_pose_ros.retargeting.profile_files import read_profile
from hand_pose_ros.ros.messages.transforms import link_transforms
from hand_pose_ros.rotations import rotation_from_quaternion


def test_the_links_of_a_robot_are_in_its_root_frame():
    robot = read_profile("demo_hand").robot_hand(demo_hand_urdf())
    poses = robot.link_poses(robot.middle_rad, robot.link_indices(robot.link_names))
    transforms = link_transforms(robot.link_names, poses, Header(frame_id="robot/base"))
    assert [t.child_frame_id for t in transforms] == list(robot.link_names)
    for transform, pose in zip(transforms, poses, strict=True):
        assert transform.header.frame_id == "robot/base"
        q = transform.transform.rotation
        rotation = rotation_from_quaternion(torch.tensor((q.x, q.y, q.z, q.w), dtype=torch.float64))
        np.testing.assert_allclose(rotation.numpy(), pose[:3, :3], atol=1e-9)
        at = transform.transform.translation
        np.testing.assert_allclose((at.x, at.y, at.z), pose[:3, 3])
