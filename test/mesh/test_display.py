"""The mesh for displays: close to the full one in every pose, closed, and lit from outside."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.spatial
import torch
import trimesh
from helpers.hand_poses import invalid_pose, random_pose
from helpers.meshes import tetrahedron

from hand_pose_ros import hand
from hand_pose_ros.gestures import GESTURES_DEG, gesture_angles
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.mesh.display import display_mesh, fingertip_weights
from hand_pose_ros.mesh.shape import BUILD_PROPORTIONS
from hand_pose_ros.mesh.simplification import simplified_faces
from hand_pose_ros.mesh.skinning import hand_mesh
from hand_pose_ros.mesh.template import load_template

PROPORTIONS = torch.tensor([BUILD_PROPORTIONS[name] for name in hand.BONE_NAMES], dtype=torch.float64)


@pytest.mark.parametrize("side", hand.SIDES)
@pytest.mark.parametrize("gesture", sorted(GESTURES_DEG))
def test_it_lies_on_the_full_mesh(side, gesture):
    frames = forward_kinematics(
        gesture_angles(gesture, torch.float64),
        PROPORTIONS,
        anchor_length=hand.MEAN_ANCHOR_LENGTH_M,
        side=side,
    )
    pose = replace(random_pose(side=side), joints_m=frames.joints.numpy(), rotations=frames.rotations.numpy())
    full, shown = hand_mesh(pose), display_mesh(pose)
    assert len(shown.faces) <= 1000
    light = trimesh.Trimesh(shown.vertices_m, shown.faces, process=False)
    assert light.is_watertight
    assert light.volume > 0
    whole = trimesh.Trimesh(full.vertices_m, full.faces, process=False)
    assert light.volume == pytest.approx(whole.volume, rel=0.05)
    samples, _ = trimesh.sample.sample_surface(light, 40_000, seed=0)
    distance, _ = scipy.spatial.cKDTree(samples).query(full.vertices_m)
    assert distance.mean() < 0.8e-3  # of which the samples' own distances are 0.3 mm
    assert distance.max() < 4e-3


@pytest.mark.parametrize("side", hand.SIDES)
def test_light_comes_from_the_camera_and_from_above(side):
    pose = random_pose(seed=4, side=side)
    shown = display_mesh(pose)
    normals = trimesh.Trimesh(shown.vertices_m, shown.faces, process=False).vertex_normals
    towards_camera, down = -normals[:, 2], normals[:, 1]
    assert np.corrcoef(shown.light, towards_camera - down)[0, 1] > 0.7
    assert 0.15 < shown.light.min() < shown.light.max() < 1.4


def test_another_mesh_is_shown_whole():
    own = tetrahedron(np.array((0.0, 0.0, 0.5)))
    shown = display_mesh(replace(random_pose(), mesh=own))
    assert not shown.shipped
    np.testing.assert_array_equal(shown.vertices_m, own.vertices_m)
    np.testing.assert_array_equal(shown.faces, own.faces)
    assert shown.light.shape == (4,)


def test_a_hand_that_is_not_known_has_none():
    with pytest.raises(ValueError, match="has no mesh"):
        display_mesh(invalid_pose())


def test_fingertips_are_those_of_the_fingers():
    weights, shown = fingertip_weights(), display_mesh(random_pose())
    assert weights.shape == (len(shown.vertices_m), 5)
    tips = random_pose().joints_m[list(hand.FINGERTIPS)]
    nearest = np.linalg.norm(shown.vertices_m[:, None] - tips, axis=-1).argmin(axis=0)
    np.testing.assert_array_equal(weights[nearest].argmax(axis=1), range(5))
    assert weights[nearest].max(axis=1).min() > 0.8


@pytest.mark.parametrize("target", [2000, 300])
def test_simplification_keeps_the_surface(target):
    template = load_template(torch.float64)
    vertices, faces = template.vertices.numpy() * 1e3, template.faces.numpy()
    simplified = simplified_faces(vertices[None], faces, target)
    assert len(simplified) == target
    mesh = trimesh.Trimesh(vertices, simplified, process=False)
    mesh.remove_unreferenced_vertices()
    assert mesh.is_watertight
    assert mesh.euler_number == 2
    assert mesh.volume == pytest.approx(trimesh.Trimesh(vertices, faces, process=False).volume, rel=0.1)


def test_simplification_ends_where_no_edge_may_go():
    own = tetrahedron(np.zeros(3))
    np.testing.assert_array_equal(simplified_faces(own.vertices_m[None], own.faces, 1), own.faces)
