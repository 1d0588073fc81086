"""The estimator's messages read back as the hands they were made of; malformed ones are refused."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from helpers.hand_poses import random_pose
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="needs ROS 2, by a sourced installation or `make test`")

from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseArray, PoseWithCovarianceStamped
from sensor_msgs.msg import PointCloud2, PointField
from sensor_msgs_py.point_cloud2 import create_cloud, create_cloud_xyz32, read_points
from std_msgs.msg import Header

from hand_pose_ros.ros.messages.cloud import FIELDS, hands_cloud
from hand_pose_ros.ros.messages.joints import joint_poses, wrist_pose
from hand_pose_ros.ros.messages.observed_hands import (
    bone_rotations,
    hand_from_poses,
    hands_from_cloud,
    stamp_s,
    wrist_measurement,
)
from hand_pose_ros.ros.messages.selection import PublishedHand

HEADER = Header(stamp=Time(sec=12, nanosec=500_000_000), frame_id="camera")


def published(pose) -> PublishedHand:
    return PublishedHand(pose, 0, True)


def test_a_cloud_reads_as_its_hands():
    poses = [random_pose("right", 1, 0.8, track_id=7, covariance=True), random_pose("left", 2, 0.6)]
    view = hands_from_cloud(hands_cloud(poses, HEADER))
    assert view.stamp_s == 12.5
    assert [(one.side, one.track_id) for one in view.hands] == [("right", 7), ("left", None)]
    for one, pose in zip(view.hands, poses, strict=True):
        np.testing.assert_allclose(one.joints_m, pose.joints_m, atol=1e-6)
        np.testing.assert_allclose(one.sigma_m, pose.joint_sigma_m, rtol=1e-6)
        assert one.score == pytest.approx(pose.score)
    assert hands_from_cloud(hands_cloud([], Header())).hands == ()
    assert stamp_s(Time()) is None


def malformed() -> dict[str, PointCloud2]:
    whole = hands_cloud([random_pose()], HEADER)
    points = read_points(whole)
    truncated = hands_cloud([random_pose()], HEADER)
    truncated.data = truncated.data[:-8]
    shuffled, two_sides, unknown_side = points.copy(), points.copy(), points.copy()
    shuffled["joint"] = shuffled["joint"][::-1]
    two_sides["side"][3] = 0
    unknown_side["side"] = 5

    def with_field(**field: Any) -> PointCloud2:
        message = hands_cloud([random_pose()], HEADER)
        message.fields = [*message.fields, PointField(**field)]
        return message

    return {
        "has the fields x, y, z": create_cloud_xyz32(HEADER, np.zeros((21, 3), np.float32)),
        "has the fields ,": PointCloud2(fields=[]),
        "no whole hands": create_cloud(HEADER, FIELDS, points[:20]),
        "in 559 bytes": truncated,
        "not in order": create_cloud(HEADER, FIELDS, shuffled),
        "are not one hand": create_cloud(HEADER, FIELDS, two_sides),
        "known type or count: odd": with_field(name="odd", datatype=99, count=1),
        "known type or count: none": with_field(name="none", datatype=PointField.UINT8, count=0),
        "known type or count: much": with_field(name="much", datatype=0, count=1),
        "two fields of one name": with_field(name="x", datatype=PointField.FLOAT32, count=1),
        "not one hand": create_cloud(HEADER, FIELDS, unknown_side),
    }


@pytest.mark.parametrize("reason", list(malformed()))
def test_a_malformed_cloud_is_refused(reason):
    with pytest.raises(ValueError, match=reason.removesuffix(" ,")):
        hands_from_cloud(malformed()[reason])


@settings(max_examples=200, deadline=None)
@given(
    changes=st.dictionaries(
        st.sampled_from(["height", "width", "point_step", "row_step"]), st.integers(0, 2**32 - 1), max_size=2
    ),
    fields=st.lists(
        st.tuples(
            st.sampled_from(["", "x", "track_id", "odd"]), *[st.integers(0, 255)] * 2, st.integers(0, 40)
        ),
        max_size=3,
    ),
    index=st.integers(0, 9),
)
def test_no_cloud_raises_anything_but_value_error(changes, fields, index):
    message = hands_cloud([random_pose()], HEADER)
    for name, value in changes.items():
        setattr(message, name, value)
    added = [PointField(name=n, datatype=d, count=c, offset=o) for n, d, c, o in fields]
    message.fields = [*message.fields[:index], *added, *message.fields[index + (index < 9) :]]
    with suppress(ValueError):
        hands_from_cloud(message)
    message.fields = [*FIELDS, *added]
    with suppress(ValueError):
        hands_from_cloud(message)


@pytest.mark.parametrize("side", ["left", "right"])
def test_joints_and_wrist_read_as_the_estimator_s_frame(side):
    pose = random_pose(side, 3, covariance=True)
    message = joint_poses(published(pose), HEADER)
    observed = hand_from_poses(message, side)
    np.testing.assert_allclose(observed.joints_m, pose.joints_m, atol=1e-9)
    np.testing.assert_allclose(observed.rotation, pose.rotations[0], atol=1e-5)
    np.testing.assert_allclose(bone_rotations(message), pose.rotations, atol=1e-5)
    measured = wrist_measurement(wrist_pose(published(pose), HEADER))
    np.testing.assert_allclose(measured.position_m, pose.joints_m[0], atol=1e-9)
    np.testing.assert_allclose(measured.rotation, pose.rotations[0], atol=1e-5)
    np.testing.assert_allclose(measured.covariance, pose.wrist_covariance)


def test_an_unknown_covariance_is_nan():
    measured = wrist_measurement(wrist_pose(published(random_pose()), HEADER))
    assert np.isnan(measured.covariance).all()


def test_malformed_poses_are_refused():
    message = joint_poses(published(random_pose()), HEADER)
    with pytest.raises(ValueError, match="21 poses, got 20"):
        hand_from_poses(PoseArray(poses=message.poses[:20]), "right")
    message.poses[0].orientation.w = float("nan")
    with pytest.raises(ValueError, match="no rotation"):
        hand_from_poses(message, "right")
    empty = PoseWithCovarianceStamped()
    empty.pose.pose.orientation.w = 0.0
    with pytest.raises(ValueError, match="no rotation"):
        wrist_measurement(empty)
    wrong = PoseWithCovarianceStamped()
    wrong.pose.pose.position.x = float("inf")
    with pytest.raises(ValueError, match="position of the wrist"):
        wrist_measurement(wrong)
