"""The messages of a hand: written, read back and put together again, they are the hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from helpers.hand_poses import invalid_pose, random_pose

pytest.importorskip("rclpy", reason="needs ROS 2, by a sourced installation or `make test`")

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion
from sensor_msgs_py.point_cloud2 import read_points
from std_msgs.msg import Header

from hand_pose_ros import hand
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.ros.messages.cloud import NO_TRACK, hands_cloud
from hand_pose_ros.ros.messages.joints import UNKNOWN_COVARIANCE, joint_poses, joint_state, wrist_pose
from hand_pose_ros.ros.messages.selection import HandSelector, PublishedHand
from hand_pose_ros.ros.messages.transforms import hand_transforms
from hand_pose_ros.rotations import rotation_from_quaternion

HEADER = Header(stamp=Time(sec=12, nanosec=345), frame_id="camera")
SIDES = pytest.mark.parametrize("side", hand.SIDES)


def matrix(message: Quaternion) -> np.ndarray:
    return rotation_from_quaternion(torch.tensor([message.x, message.y, message.z, message.w])).numpy()


def xyz(message: object) -> list[float]:
    return [message.x, message.y, message.z]


def test_cloud_reads_back_as_the_hands():
    poses = [random_pose("right", 1, 0.8, track_id=7, covariance=True), random_pose("left", 2, 0.6)]
    cloud = hands_cloud([poses[0], invalid_pose(), poses[1]], HEADER)
    assert cloud.header == HEADER
    points = read_points(cloud).reshape(2, hand.NUM_JOINTS)
    for row, pose in zip(points, poses, strict=True):
        np.testing.assert_array_equal(np.stack([row[axis] for axis in "xyz"], axis=1), pose.joints_m)
        np.testing.assert_allclose(row["sigma"], pose.joint_sigma_m, rtol=1e-6)
        np.testing.assert_allclose(row["score"], pose.score)
        np.testing.assert_array_equal(row["joint"], range(hand.NUM_JOINTS))
        assert {hand.SIDES[side] for side in row["side"]} == {pose.side}
    assert np.isnan(points[1]["sigma"]).all()
    assert [set(row["track_id"]) for row in points] == [{7}, {NO_TRACK}]


def test_no_hands_are_a_cloud_without_points():
    cloud = hands_cloud([invalid_pose()], HEADER)
    assert (cloud.header, cloud.width, cloud.height, len(cloud.data)) == (HEADER, 0, 1, 0)
    assert [f.name for f in cloud.fields] == [
        "x",
        "y",
        "z",
        "sigma",
        "score",
        "track_id",
        "side",
        "joint",
        "visibility",
    ]
    assert len(read_points(cloud)) == 0


@SIDES
def test_joint_poses_hold_positions_and_bone_frames(side):
    pose = random_pose(side, 3)
    message = joint_poses(PublishedHand(pose, 0, True), HEADER)
    assert message.header == HEADER
    np.testing.assert_allclose([xyz(p.position) for p in message.poses], pose.joints_m)
    np.testing.assert_allclose([matrix(p.orientation) for p in message.poses], pose.rotations, atol=1e-6)


@SIDES
def test_joint_state_gives_the_joints_through_forward_kinematics(side):
    pose = random_pose(side, 4)
    message = joint_state(PublishedHand(pose, 0, True), HEADER)
    assert message.header == HEADER
    assert list(message.name) == [f"{side}_hand_{name}" for name in hand.ANGLE_NAMES]
    frames = forward_kinematics(
        torch.tensor(message.position, dtype=torch.float32),
        torch.from_numpy(pose.proportions),
        torch.from_numpy(pose.rotations[0]),
        torch.from_numpy(pose.joints_m[0]),
        pose.anchor_length_m,
        side,
    )
    np.testing.assert_allclose(frames.joints, pose.joints_m, atol=1e-6)


def test_wrist_carries_its_covariance_or_says_that_it_is_unknown():
    pose = random_pose(seed=5, covariance=True)
    message = wrist_pose(PublishedHand(pose, 0, True), HEADER)
    assert message.header == HEADER
    np.testing.assert_allclose(xyz(message.pose.pose.position), pose.joints_m[0])
    np.testing.assert_allclose(matrix(message.pose.pose.orientation), pose.rotations[0], atol=1e-6)
    np.testing.assert_allclose(message.pose.covariance.reshape(6, 6), pose.wrist_covariance)
    assert (
        tuple(wrist_pose(PublishedHand(random_pose(), 0, True), HEADER).pose.covariance) == UNKNOWN_COVARIANCE
    )


@SIDES
@pytest.mark.parametrize("primary", [True, False])
def test_transforms_chain_up_to_the_joints(side, primary):
    pose = random_pose(side, 6, track_id=3)
    transforms = hand_transforms(PublishedHand(pose, 3, primary), HEADER)
    prefix = f"{side}_hand_" if primary else f"{side}_hand_3_"
    assert [t.child_frame_id for t in transforms] == [prefix + name for name in hand.JOINT_NAMES]
    assert {(t.header.stamp.sec, t.header.stamp.nanosec) for t in transforms} == {(12, 345)}
    in_camera = {"camera": np.eye(4)}
    for transform in transforms:
        step = np.eye(4)
        step[:3, :3] = matrix(transform.transform.rotation)
        step[:3, 3] = xyz(transform.transform.translation)
        in_camera[transform.child_frame_id] = in_camera[transform.header.frame_id] @ step
    for index, name in enumerate(hand.JOINT_NAMES):
        np.testing.assert_allclose(in_camera[prefix + name][:3, 3], pose.joints_m[index], atol=1e-6)
        np.testing.assert_allclose(in_camera[prefix + name][:3, :3], pose.rotations[index], atol=1e-6)


def test_bones_lie_along_x_in_the_transforms():
    pose = random_pose(seed=8)
    for transform, (_, child) in zip(
        hand_transforms(PublishedHand(pose, 0, True), HEADER)[1:], hand.BONES, strict=True
    ):
        length = pose.proportions[child - 1] * pose.anchor_length_m
        offset = matrix(transform.transform.rotation).T @ xyz(transform.transform.translation)
        np.testing.assert_allclose(offset, [length, 0, 0], atol=1e-6)


def test_the_wrist_alone():
    pose = random_pose(seed=9)
    (transform,) = hand_transforms(PublishedHand(pose, 0, True), HEADER, joints=False)
    assert (transform.header, transform.child_frame_id) == (HEADER, "right_hand_wrist")
    np.testing.assert_allclose(xyz(transform.transform.translation), pose.joints_m[0])
    assert math.isclose(np.linalg.det(matrix(transform.transform.rotation)), 1, rel_tol=1e-6)


def test_the_best_hand_of_each_side_is_primary():
    poses = [random_pose("right", 1, 0.5), random_pose("right", 2, 0.8), random_pose("left", 3, 0.6)]
    selected = HandSelector().select([*poses, invalid_pose("left", 0.95)])
    assert [(h.pose, h.hand_id, h.primary) for h in selected] == [
        (poses[1], 1, True),
        (poses[2], 2, True),
        (poses[0], 0, False),
    ]
    assert selected[2].frame_name("wrist") == "right_hand_0_wrist"


def test_a_track_stays_primary_while_it_lasts():
    selector = HandSelector()

    def primary(*tracks: tuple[int, float]) -> int | None:
        poses = [random_pose(seed=track, score=score, track_id=track) for track, score in tracks]
        return next(h.hand_id for h in selector.select(poses) if h.primary)

    assert primary((1, 0.9), (2, 0.8)) == 1
    assert primary((1, 0.7), (2, 0.8)) == 1
    assert primary((2, 0.8), (3, 0.9)) == 3
    # While it is in view but cannot be estimated, nobody takes its place.
    other = random_pose(seed=2, score=0.8, track_id=2)
    assert [h.primary for h in selector.select([invalid_pose(track_id=3), other])] == [False]
    assert primary((2, 0.9), (3, 0.8)) == 3
    selector.reset()
    assert primary((2, 0.9), (3, 0.8)) == 2
