"""Markers of the frame checker: what they show is what the retargeter found."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2, by a sourced installation or `make test`")

from builtin_interfaces.msg import Time
from helpers.teleoperation import posed
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from hand_pose_ros.retargeting.demo_hand import demo_hand_urdf
from hand_pose_ros.retargeting.frame_check import largest_residuals, vector_parts
from hand_pose_ros.retargeting.profile_files import read_profile
from hand_pose_ros.retargeting.retargeter import RetargetedHand, Retargeter
from hand_pose_ros.ros.messages.frame_check import (
    HUMAN,
    LABELS,
    RESIDUALS,
    ROBOT,
    frame_check_markers,
)

HEADER = Header(stamp=Time(sec=3, nanosec=4), frame_id="robot/base")


@pytest.fixture(scope="module")
def checked() -> tuple[RetargetedHand, tuple[str, ...], list[Marker]]:
    profile = read_profile("demo_hand")
    retargeter = Retargeter(profile, profile.robot_hand(demo_hand_urdf()))
    result = retargeter.retarget(posed("pinch", wrist_m=(0.0, 0.0, 0.0)).joints.numpy(), None, 1 / 30)
    parts = vector_parts(retargeter.vector_joints)
    return result, parts, list(frame_check_markers(result, parts, HEADER).markers)


def of(markers: list[Marker], namespace: str) -> list[Marker]:
    return [marker for marker in markers if marker.ns == namespace]


def test_both_sets_of_vectors_begin_at_the_robot_s_origins(checked):
    result, _, markers = checked
    for namespace, vectors in ((HUMAN, result.human_vectors_m), (ROBOT, result.robot_vectors_m)):
        (marker,) = of(markers, namespace)
        lines = np.array([(p.x, p.y, p.z) for p in marker.points]).reshape(-1, 2, 3)
        np.testing.assert_allclose(lines[:, 0], result.origins_m)
        np.testing.assert_allclose(lines[:, 1] - lines[:, 0], vectors)


def test_the_lines_between_the_ends_are_as_long_as_the_residuals(checked):
    result, _, markers = checked
    (marker,) = of(markers, RESIDUALS)
    lines = np.array([(p.x, p.y, p.z) for p in marker.points]).reshape(-1, 2, 3)
    np.testing.assert_allclose(np.linalg.norm(np.diff(lines, axis=1)[:, 0], axis=1), result.residuals_m)


def test_each_finger_has_its_largest_residual_as_text(checked):
    result, parts, markers = checked
    expected = largest_residuals(parts, result.residuals_m)
    labels = {marker.text.split()[0]: marker.text for marker in of(markers, LABELS)}
    assert labels == {
        finger: f"{finger} {1e3 * expected[finger]:.0f} mm" for finger in ("thumb", "index", "middle", "ring")
    }


def test_markers_are_in_the_base_frame_and_go_with_their_image(checked):
    _, _, markers = checked
    keys = [(marker.ns, marker.id) for marker in markers]
    assert len(set(keys)) == len(keys)
    for marker in markers:
        assert marker.header == HEADER
        assert 0 < marker.lifetime.sec + 1e-9 * marker.lifetime.nanosec <= 2
        assert marker.color.a == 1.0
        assert max(marker.scale.x, marker.scale.z) > 0
    read = deserialize_message(serialize_message(MarkerArray(markers=markers)), MarkerArray).markers
    assert [(m.ns, m.id, m.text, m.points) for m in read] == [(m.ns, m.id, m.text, m.points) for m in markers]
