"""What flows between the rooms: what contradicts itself is refused; frames and hands move as a whole."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers.hand_poses import invalid_pose, random_pose
from helpers.meshes import tetrahedron

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.pose import Frame

MESH = tetrahedron(np.array((0.0, 0.0, 0.5)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"vertices_m": np.zeros((4, 2))}, r"vertices_m must be an array of shape \(4, 3\)"),
        ({"vertices_m": [[0.0, 0.0, 0.0]]}, "vertices_m must be an array"),
        ({"vertices_m": np.zeros((4, 3), int)}, "vertices_m must be of floating numbers"),
        ({"vertices_m": np.full((4, 3), np.nan)}, "vertices_m must be finite"),
        ({"vertices_m": MESH.vertices_m[:3]}, "faces must be indices of the 3 vertices"),
        ({"faces": MESH.faces - 1}, "faces must be indices of the 4 vertices"),
        ({"faces": MESH.faces[:, :2]}, r"faces must be an array of shape \(4, 3\)"),
        ({"faces": MESH.faces.astype(float)}, "faces must be of integer numbers"),
        ({"template": ""}, "must name its template"),
    ],
)
def test_a_mesh_that_cannot_be_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        replace(MESH, **changed)


def test_a_hand_that_moves_takes_its_mesh_along():
    pose, shift = random_pose(), np.array((0.1, -0.2, 0.3))
    moved = replace(pose, mesh=MESH).moved(shift)
    np.testing.assert_array_equal(moved.joints_m, pose.joints_m + shift)
    np.testing.assert_array_equal(moved.mesh.vertices_m, MESH.vertices_m + shift)
    assert pose.moved(shift).mesh is None


def test_an_invalid_hand_has_no_mesh():
    with pytest.raises(ValueError, match="an invalid HandPose has no mesh"):
        replace(invalid_pose(), mesh=MESH)


CAMERA = CameraModel.pinhole(50.0, 50.0, 30.0, 24.0, 64, 48)
IMAGE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
DEPTH = np.linspace(0.3, 2.0, 48 * 64, dtype=np.float32).reshape(48, 64)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"image_bgr": IMAGE[:, 1:]}, "image_bgr must be an array of shape"),
        ({"image_bgr": IMAGE[..., 0]}, "image_bgr must be an array of shape"),
        ({"image_bgr": IMAGE.tolist()}, "image_bgr must be an array of shape"),
        ({"image_bgr": IMAGE.astype(np.float32)}, "image_bgr must be uint8"),
        ({"time_s": math.nan}, "time_s must be finite"),
        ({"time_s": math.inf}, "time_s must be finite"),
        ({"depth_m": DEPTH[1:]}, "depth_m must be an array of shape"),
        ({"depth_m": (1000 * DEPTH).astype(np.uint16)}, "depth_m must be of floats"),
    ],
)
def test_a_frame_that_contradicts_itself_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Frame(**{"image_bgr": IMAGE, "camera": CAMERA, **values})


def test_a_mirrored_frame_is_flipped_as_a_whole():
    frame = Frame(IMAGE, CAMERA, 1.5, DEPTH)
    mirrored = frame.mirrored()
    np.testing.assert_array_equal(mirrored.image_bgr, IMAGE[:, ::-1])
    np.testing.assert_array_equal(mirrored.depth_m, DEPTH[:, ::-1])
    assert mirrored.camera.cx == 63 - 30.0
    assert mirrored.time_s == 1.5
    assert mirrored.mirrored().camera == CAMERA
    assert Frame(IMAGE, CAMERA).mirrored().depth_m is None
