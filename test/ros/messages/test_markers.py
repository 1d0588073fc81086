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
from hand_pose_ros.mesh.display import display_mesh
from hand_pose_ros.ros.messages.markers import (
    ELLIPSOID_SIGMAS,
    JOINT_UNCERTAINTY,
    JOINTS,
    LABEL,
    MESH,
    SKELETON,
    UNCERTAINTY,
    delete_all,
    keys,
    markers,
)
from hand_pose_ros.ros.messages.overlay import draw_overlay
from hand_pose_ros.ros.messages.selection import PublishedHand
from hand_pose_ros.rotations import rotation_from_quaternion

HEADER = Header(frame_id="camera")
ELLIPSOIDS = (UNCERTAINTY, JOINT_UNCERTAINTY)
CAMERA = CameraModel.from_fov(640, 480, 1.0)


def published(seed: int = 0, number: int = 0, **pose: object) -> PublishedHand:
    return PublishedHand(random_pose(seed=seed, **pose), number, True)


def coordinates(marker: Marker) -> np.ndarray:
    return np.array([(p.x, p.y, p.z) for p in marker.points])


def by_kind(shown: PublishedHand) -> dict[str, Marker]:
    """The markers of a hand that are one of their kind."""
    return {marker.ns: marker for marker in markers([shown], HEADER, 0.75).markers}


@pytest.mark.parametrize("side", hand.SIDES)
def test_skeleton_joints_and_mesh_lie_on_the_hand(side):
    shown = published(1, side=side)
    pose = shown.pose
    kinds = by_kind(shown)
    assert set(kinds) == {MESH, SKELETON, JOINTS, LABEL}
    for marker in kinds.values():
        assert (marker.header, marker.action, marker.pose.orientation.w) == (HEADER, Marker.ADD, 1.0)
        assert (marker.lifetime.sec, marker.lifetime.nanosec) == (0, 750_000_000)
    np.testing.assert_allclose(coordinates(kinds[JOINTS]), pose.joints_m)
    np.testing.assert_allclose(
        coordinates(kinds[SKELETON]).reshape(-1, 2, 3), pose.joints_m[np.array(hand.BONES)]
    )
    assert len(kinds[JOINTS].colors) == hand.NUM_JOINTS
    assert len(kinds[SKELETON].colors) == len(kinds[SKELETON].points)
    expected = display_mesh(pose)
    np.testing.assert_array_equal(coordinates(kinds[MESH]), expected.vertices_m[expected.faces.ravel()])


@pytest.mark.parametrize("side", hand.SIDES)
def test_the_mesh_is_opaque_and_each_of_its_corners_has_a_colour(side):
    mesh = by_kind(published(1, side=side))[MESH]
    colours = np.array([(c.r, c.g, c.b, c.a) for c in mesh.colors])
    assert len(colours) == len(mesh.points)
    assert (colours[:, 3] == 1).all()
    assert mesh.color.a == 1
    assert ((colours >= 0) & (colours <= 1)).all()
    warm = colours[:, 0].mean() - colours[:, 2].mean()
    assert warm > 0.05 if side == "right" else warm < -0.05


def test_markers_show_the_hands_own_mesh():
    own = tetrahedron(np.array((0.0, 0.0, 0.5)))
    mesh = by_kind(PublishedHand(replace(random_pose(), mesh=own), 0, True))[MESH]
    np.testing.assert_array_equal(coordinates(mesh), own.vertices_m[own.faces].reshape(-1, 3))
    assert len(mesh.colors) == len(mesh.points)


def test_the_label_tells_side_distance_and_its_uncertainty():
    pose = random_pose(side="left", centre_m=(0.0, 0.0, 0.6))
    distance = np.linalg.norm(pose.joints_m[hand.WRIST])
    assert by_kind(PublishedHand(pose, 0, True))[LABEL].text == f"left\n{distance:.2f}m"
    ray = pose.joints_m[hand.WRIST] / distance
    covariance = np.tile(0.03**2 * np.outer(ray, ray), (hand.NUM_JOINTS, 1, 1))
    known = PublishedHand(replace(pose, covariance_m2=covariance), 0, True)
    assert by_kind(known)[LABEL].text == f"left\n{distance:.2f}m\n+/-3.0cm"


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
    ellipsoids = [m for m in markers([shown], HEADER, 0.5).markers if m.ns in ELLIPSOIDS]
    assert [m.id for m in ellipsoids] == list(range(5 * 21, 6 * 21))
    for marker, covariance in zip(ellipsoids, shown.pose.covariance_m2, strict=True):
        xyzw = [getattr(marker.pose.orientation, axis) for axis in "xyzw"]
        axes = rotation_from_quaternion(torch.tensor(xyzw, dtype=torch.float64)).numpy()
        sigmas = np.array([marker.scale.x, marker.scale.y, marker.scale.z]) / 2 / ELLIPSOID_SIGMAS
        np.testing.assert_allclose(axes @ np.diag(sigmas**2) @ axes.T, covariance, atol=2e-9)
    apart = [m.id - 5 * 21 for m in ellipsoids if m.ns == UNCERTAINTY]
    assert apart == [hand.WRIST, *hand.FINGERTIPS]


def test_large_ellipsoids_are_redder():
    sigmas = np.linspace(0.001, 0.03, hand.NUM_JOINTS)
    pose = replace(random_pose(), covariance_m2=np.identity(3) * sigmas[:, None, None] ** 2)
    listed = [m for m in markers([PublishedHand(pose, 0, True)], HEADER, 0.5).markers if m.ns in ELLIPSOIDS]
    red = np.array([m.color.r for m in listed])
    assert (np.diff(red) >= 0).all()
    assert red[-1] > red[0] + 0.5
    assert all(0 < m.color.a < 1 for m in listed)


def test_every_hand_has_its_own_keys_and_leaves_by_deletion():
    hands = [published(1, number=0, covariance=True), published(2, number=1, covariance=True)]
    first = markers(hands, HEADER, 0.5)
    shown = keys(first.markers)
    assert len(set(shown)) == len(shown) == 2 * (4 + 21)
    second = markers(hands[:1], HEADER, 0.5, shown)
    deleted = {(m.ns, m.id) for m in second.markers if m.action == Marker.DELETE}
    assert deleted == set(shown) - set(keys(second.markers))
    assert {number for namespace, number in deleted if namespace == MESH} == {1}
    assert [m.action for m in markers([], HEADER, 0.5, keys(second.markers)).markers] == [Marker.DELETE] * 25
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
