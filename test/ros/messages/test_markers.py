"""Markers and the overlay picture: they lie where the hand is, and go when it goes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.hand_poses import detection, invalid_pose, random_pose
from helpers.meshes import tetrahedron

pytest.importorskip("rclpy", reason="needs ROS 2, by a sourced installation or `make test`")

from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.kinematics.forward import HandFrames
from hand_pose_ros.mesh.skinning import mesh_faces, skin
from hand_pose_ros.ros.messages.markers import (
    ELLIPSOID_SIGMAS,
    JOINTS,
    MESH,
    SKELETON,
    UNCERTAINTY,
    delete_all,
    hand_markers,
    keys,
    markers,
)
from hand_pose_ros.ros.messages.overlay import draw_overlay
from hand_pose_ros.ros.messages.selection import PublishedHand
from hand_pose_ros.rotations import rotation_from_quaternion

HEADER = Header(frame_id="camera")
CAMERA = CameraModel.from_fov(640, 480, 1.0)


def published(seed: int = 0, number: int = 0, **pose: object) -> PublishedHand:
    return PublishedHand(random_pose(seed=seed, **pose), number, True)


def coordinates(marker: Marker) -> np.ndarray:
    return np.array([(p.x, p.y, p.z) for p in marker.points])


@pytest.mark.parametrize("side", hand.SIDES)
def test_skeleton_joints_and_mesh_lie_on_the_hand(side):
    shown = published(1, side=side)
    pose = shown.pose
    by_kind = {marker.ns: marker for marker in hand_markers(shown, HEADER, 0.75)}
    assert set(by_kind) == {SKELETON, JOINTS, MESH}
    for marker in by_kind.values():
        assert (marker.header, marker.action, marker.pose.orientation.w) == (HEADER, Marker.ADD, 1.0)
        assert (marker.lifetime.sec, marker.lifetime.nanosec) == (0, 750_000_000)
    np.testing.assert_allclose(coordinates(by_kind[JOINTS]), pose.joints_m)
    np.testing.assert_allclose(
        coordinates(by_kind[SKELETON]).reshape(-1, 2, 3), pose.joints_m[np.array(hand.BONES)]
    )
    vertices = skin(HandFrames(*map(torch.from_numpy, (pose.joints_m, pose.rotations))), side)
    np.testing.assert_allclose(
        coordinates(by_kind[MESH]), vertices[mesh_faces(side).flatten()].numpy(), atol=1e-7
    )
    assert len(by_kind[JOINTS].colors) == hand.NUM_JOINTS
    assert len(by_kind[SKELETON].colors) == len(by_kind[SKELETON].points)


def test_markers_show_the_hands_own_mesh():
    own = tetrahedron(np.array((0.0, 0.0, 0.5)))
    shown = PublishedHand(replace(random_pose(), mesh=own), 0, True)
    (mesh,) = (marker for marker in hand_markers(shown, HEADER, 0.75) if marker.ns == MESH)
    np.testing.assert_array_equal(coordinates(mesh), own.vertices_m[own.faces].reshape(-1, 3))


def test_overlay_draws_the_hands_own_mesh():
    image = np.zeros((480, 640, 3), np.uint8)
    away = np.array((0.1, 0.05, 0.5))  # where the hand itself is not
    pose = replace(random_pose(centre_m=(-0.1, 0.0, 0.5)), mesh=tetrahedron(away))
    drawn, without = (draw_overlay(image, CAMERA, [pose], [detection()], mesh) for mesh in (True, False))
    rows, columns = np.nonzero((drawn != without).any(axis=2))
    corners_px = CAMERA.project(torch.from_numpy(pose.mesh.vertices_m)).numpy()
    low, high = corners_px.min(axis=0), corners_px.max(axis=0)
    np.testing.assert_allclose((columns.min(), rows.min()), low, atol=2)
    np.testing.assert_allclose((columns.max(), rows.max()), high, atol=2)


def test_ellipsoids_are_the_covariance():
    shown = published(2, number=5, covariance=True)
    ellipsoids = [m for m in hand_markers(shown, HEADER, 0.5) if m.ns == UNCERTAINTY]
    assert [m.id for m in ellipsoids] == list(range(5 * 21, 6 * 21))
    for marker, covariance in zip(ellipsoids, shown.pose.covariance_m2, strict=True):
        xyzw = [getattr(marker.pose.orientation, axis) for axis in "xyzw"]
        axes = rotation_from_quaternion(torch.tensor(xyzw, dtype=torch.float64)).numpy()
        sigmas = np.array([marker.scale.x, marker.scale.y, marker.scale.z]) / 2 / ELLIPSOID_SIGMAS
        np.testing.assert_allclose(axes @ np.diag(sigmas**2) @ axes.T, covariance, atol=2e-9)


def test_every_hand_has_its_own_keys_and_leaves_by_deletion():
    hands = [published(1, number=0, covariance=True), published(2, number=1, covariance=True)]
    first = markers(hands, HEADER, 0.5)
    shown = keys(first.markers)
    assert len(set(shown)) == len(shown) == 2 * (3 + 21)
    second = markers(hands[:1], HEADER, 0.5, shown)
    deleted = {(m.ns, m.id) for m in second.markers if m.action == Marker.DELETE}
    assert deleted == set(shown) - set(keys(second.markers))
    assert {number for namespace, number in deleted if namespace == MESH} == {1}
    assert [m.action for m in markers([], HEADER, 0.5, keys(second.markers)).markers] == [Marker.DELETE] * 24
    assert [m.action for m in delete_all(HEADER).markers] == [Marker.DELETEALL]


def test_overlay_draws_the_hand_where_it_is_and_leaves_the_image_alone():
    image = np.full((480, 640, 3), 90, np.uint8)
    pose = random_pose(seed=3, centre_m=(0.0, 0.0, 0.5), track_id=4)
    drawn = draw_overlay(image, CAMERA, [pose], [detection()])
    assert (image == 90).all()
    changed = (drawn != image).any(axis=2)
    joints_px = CAMERA.project(torch.from_numpy(pose.joints_m)).numpy()
    columns, rows = joints_px.round().astype(int).T
    assert changed[rows, columns].all()
    far = np.ones_like(changed)
    margin = 60
    far[
        max(0, rows.min() - margin) : rows.max() + margin,
        max(0, columns.min() - margin) : columns.max() + 250,
    ] = False
    assert not changed[far].any()
    without_mesh = draw_overlay(image, CAMERA, [pose], [detection()], mesh=False)
    assert 0 < (without_mesh != image).sum() < (drawn != image).sum()


@pytest.mark.parametrize("centre_m", [(0.0, 0.0, -0.5), (5.0, 0.0, 0.4), (0.0, 0.0, 0.02), (0.3, 0.2, 0.4)])
def test_overlay_survives_hands_that_are_partly_or_not_in_view(centre_m):
    image = np.zeros((480, 640, 3), np.uint8)
    drawn = draw_overlay(image, CAMERA, [random_pose(centre_m=centre_m)], [detection()])
    assert drawn.shape == image.shape


def test_overlay_says_why_a_hand_is_missing():
    image = np.zeros((480, 640, 3), np.uint8)
    drawn = draw_overlay(image, CAMERA, [invalid_pose()], [detection()])
    assert drawn[120, 100:260].any(axis=1).all()  # the upper edge of its box
    assert drawn[:118, 100:].any()  # the text stands on it
