"""Templates and their skinning: watertight, agree with the joints, mirror, follow proportions; a hand's mesh."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from helpers.hand_poses import invalid_pose, random_pose
from helpers.meshes import reversed_template, tetrahedron, tetrahedron_template
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_pose_ros import hand
from hand_pose_ros.gestures import GESTURES_DEG, gesture_angles
from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.mesh import template as templates
from hand_pose_ros.mesh.shape import build_frames
from hand_pose_ros.mesh.skinning import (
    build_pose_vertices,
    hand_mesh,
    mesh_faces,
    pose_mesh,
    regress_joints,
    skin,
    vertex_normals,
)
from hand_pose_ros.mesh.template import TEMPLATE_PATH, load_template
from hand_pose_ros.rotations import rotation_from_vector

DOUBLE = torch.float64
ANCHOR_M = hand.MEAN_ANCHOR_LENGTH_M


def random_hands(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Angles and proportions anywhere within the limits, with random root poses."""
    generator = torch.Generator().manual_seed(seed)
    angles, proportions = (
        bounds.minimum
        + torch.rand(count, len(bounds.minimum), generator=generator, dtype=DOUBLE)
        * (bounds.maximum - bounds.minimum)
        for bounds in (angle_bounds(DOUBLE), proportion_bounds(DOUBLE))
    )
    rotation = rotation_from_vector(torch.randn(count, 3, generator=generator, dtype=DOUBLE))
    return angles, proportions, rotation, torch.randn(count, 3, generator=generator, dtype=DOUBLE)


def slow_skin(frames: HandFrames, side: str) -> torch.Tensor:
    """Linear blend skinning of one hand, vertex by vertex and bone by bone."""
    template = load_template(DOUBLE)
    flip = torch.diag(torch.tensor((1.0, 1.0 if side == "right" else -1.0, 1.0), dtype=DOUBLE))
    size = (frames.joints[5] - frames.joints[0]).norm() / (template.joints[5] - template.joints[0]).norm()
    result = torch.zeros_like(template.vertices)
    for vertex, position in enumerate(template.vertices):
        for node in range(hand.NUM_JOINTS):
            weight = template.weights[vertex, node]
            if weight == 0:
                continue
            parent = max(hand.PARENTS[node], 0)
            local = template.rotations[node].T @ (position - template.joints[parent])
            along = size
            if node:
                along = (frames.joints[node] - frames.joints[parent]).norm()
                along = along / (template.joints[node] - template.joints[parent]).norm()
            local = flip @ (local * torch.stack((along, size, size)))
            result[vertex] += weight * (frames.rotations[node] @ local + frames.joints[parent])
    return result


def test_template_is_a_closed_outward_surface():
    template = load_template(DOUBLE)
    mesh = trimesh.Trimesh(template.vertices.numpy(), template.faces.numpy(), process=False)
    assert 1000 <= len(mesh.vertices) <= 3000
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.euler_number == 2  # a sphere: fingers have not grown together
    assert 300e-6 < mesh.volume < 450e-6  # cubic metres, positive when the winding is outward
    quality = (
        4
        * np.sqrt(3)
        * mesh.area_faces
        / (mesh.edges_unique_length[mesh.faces_unique_edges] ** 2).sum(axis=1)
    )
    assert quality.min() > 0.2
    assert mesh.body_count == 1


def test_left_faces_point_outward():
    angles, proportions = angle_bounds().neutral, proportion_bounds().neutral
    vertices = pose_mesh(angles, proportions, side="left")
    assert trimesh.Trimesh(vertices.numpy(), mesh_faces("left").numpy(), process=False).volume > 300e-6


def test_weights_are_few_positive_and_sum_to_one():
    weights = load_template(DOUBLE).weights
    assert (weights >= 0).all()
    assert ((weights > 0).sum(dim=1) <= 4).all()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(len(weights), dtype=DOUBLE))
    assert set(load_template().bones.tolist()) == set(range(hand.NUM_JOINTS))


def test_weights_change_smoothly_over_the_surface():
    template = load_template(DOUBLE)
    for corner in range(3):
        step = template.weights[template.faces[:, corner]] - template.weights[template.faces[:, corner - 1]]
        assert (
            step.abs().sum(dim=1).max() < 1.5
        )  # of 2: no vertex changes its bones from one edge to the next


def test_build_pose_reproduces_the_template():
    template = load_template(DOUBLE)
    frames = build_frames()
    torch.testing.assert_close(skin(frames), template.vertices, atol=1e-9, rtol=0)
    torch.testing.assert_close(regress_joints(template.vertices), frames.joints, atol=1e-7, rtol=0)
    torch.testing.assert_close(template.regressor.sum(dim=1), torch.ones(hand.NUM_JOINTS, dtype=DOUBLE))


def test_regressor_follows_posed_hands_within_a_millimetre():
    angles, proportions, rotation, position = random_hands(300, seed=1)
    frames = forward_kinematics(angles, proportions, rotation, position, ANCHOR_M)
    error = (regress_joints(skin(frames)) - frames.joints).norm(dim=-1)
    assert error.mean() < 1e-4
    assert error.max() < 1e-3


@pytest.mark.parametrize("side", hand.SIDES)
def test_skin_equals_the_loop_over_vertices_and_bones(side):
    angles, proportions, rotation, position = (value[0] for value in random_hands(1, seed=2))
    frames = forward_kinematics(angles, proportions, rotation, position, 0.08, side)
    torch.testing.assert_close(skin(frames, side), slow_skin(frames, side), atol=1e-12, rtol=0)


def test_batch_equals_serial_for_both_sides():
    angles, proportions, rotation, position = random_hands(4, seed=3)
    sign = torch.tensor((1.0, -1.0, -1.0, 1.0), dtype=DOUBLE)
    sizes = torch.tensor((0.07, 0.08, 0.09, 0.1), dtype=DOUBLE)
    batch = pose_mesh(angles, proportions, rotation, position, sizes, sign)
    normals = vertex_normals(batch, sign)
    for k in range(4):
        side = "right" if sign[k] > 0 else "left"
        one = pose_mesh(angles[k], proportions[k], rotation[k], position[k], sizes[k], side)
        torch.testing.assert_close(batch[k], one, atol=1e-12, rtol=0)
        torch.testing.assert_close(normals[k], vertex_normals(one, side), atol=1e-9, rtol=0)


def test_left_is_the_mirror_image_of_right():
    angles, proportions, *_ = random_hands(3, seed=4)
    right, left = (pose_mesh(angles, proportions, side=side) for side in ("right", "left"))
    mirror = right.new_tensor((1.0, -1.0, 1.0))
    torch.testing.assert_close(left, right * mirror, atol=1e-12, rtol=0)
    torch.testing.assert_close(
        vertex_normals(left, "left"), vertex_normals(right, "right") * mirror, atol=1e-9, rtol=0
    )


def test_normals_equal_trimesh():
    angles, proportions, *_ = (value[0] for value in random_hands(1, seed=5))
    vertices = pose_mesh(angles, proportions)
    expected = np.zeros(vertices.shape)
    for a, b, c in mesh_faces().tolist():
        p, q, r = (vertices[k].numpy() for k in (a, b, c))
        expected[[a, b, c]] += np.cross(q - p, r - p)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(vertex_normals(vertices).numpy(), expected, atol=1e-9)


def test_size_scales_everything_and_a_longer_bone_only_its_finger():
    angles, proportions = angle_bounds(DOUBLE).neutral, proportion_bounds(DOUBLE).neutral
    reference = pose_mesh(angles, proportions)
    torch.testing.assert_close(pose_mesh(angles, proportions, anchor_length=2 * ANCHOR_M), 2 * reference)

    longer = proportions.clone()
    bone = hand.BONE_NAMES.index("middle_dip")
    longer[bone] *= 1.2
    moved = (pose_mesh(angles, longer) - reference).norm(dim=-1)
    tip = load_template().weights[:, hand.JOINT_INDEX["middle_tip"]] > 0.99
    expected = 0.2 * proportions[bone] * ANCHOR_M
    torch.testing.assert_close(moved[tip], expected.expand(int(tip.sum())), atol=2e-4, rtol=0)
    thumb = load_template().weights[:, 1:5].sum(dim=1) > 0.99
    assert moved[thumb].max() < 1e-12


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_vertices_stay_on_the_hand(seed):
    """No pose within the limits throws a vertex farther from its bones than flesh can reach."""
    angles, proportions, *_ = (value[0] for value in random_hands(1, seed))
    frames = forward_kinematics(angles, proportions, anchor_length=ANCHOR_M)
    vertices = skin(frames)
    assert torch.cdist(vertices, frames.joints).min(dim=1).values.max() < 0.065


def test_skin_gradient():
    angles, proportions, rotation, position = (value[0] for value in random_hands(1, seed=6))
    probe = torch.randn(
        load_template().vertices.shape, generator=torch.Generator().manual_seed(0), dtype=DOUBLE
    )

    def probed(a: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        return (pose_mesh(a, p, rotation, position) * probe).sum()

    assert torch.autograd.gradcheck(probed, (angles.requires_grad_(), proportions.requires_grad_()))


def test_constants_first_made_in_inference_mode_still_train():
    templates._shipped.cache_clear()
    angles, proportions = angle_bounds().neutral.clone(), proportion_bounds().neutral
    with torch.inference_mode():
        vertex_normals(pose_mesh(angles, proportions))
    angles.requires_grad_()
    vertices = pose_mesh(angles, proportions)
    (vertex_normals(vertices)[:, 0].sum() + regress_joints(vertices).sum()).backward()
    assert angles.grad.isfinite().all()
    assert angles.grad.abs().max() > 0


def test_a_template_is_read_once_and_keeps_its_constants():
    template = load_template()
    assert template is load_template(torch.float32) is load_template(device=torch.device("cpu"))
    assert template.skinning_basis is template.skinning_basis
    assert template.incident_faces is template.incident_faces
    assert template != replace(template)  # arrays have no truth value: a template is equal to itself only


@pytest.mark.parametrize("side", hand.SIDES)
def test_another_template_is_posed_with_its_own_faces_and_normals(side):
    template = tetrahedron_template(DOUBLE)
    angles, proportions, rotation, position = (value[0] for value in random_hands(1, seed=7))
    vertices = pose_mesh(angles, proportions, rotation, position, 2 * ANCHOR_M, side, template)
    frames = forward_kinematics(angles, proportions, rotation, position, 2 * ANCHOR_M, side)
    mirrored = template.vertices * vertices.new_tensor((1.0, 1.0 if side == "right" else -1.0, 1.0))
    torch.testing.assert_close(vertices, 2 * mirrored @ frames.rotations[0].T + frames.joints[0])
    faces = mesh_faces(side, template)
    solid = trimesh.Trimesh(vertices.numpy(), faces.numpy(), process=False)
    assert solid.volume == pytest.approx(8 * 0.04**3 / 6)  # positive: the faces look outwards
    outwards = vertices - vertices.mean(dim=0)
    assert ((vertex_normals(vertices, side, template) * outwards).sum(dim=-1) > 0).all()
    with pytest.raises(ValueError, match="'tetrahedron' has no joint regressor"):
        regress_joints(vertices, template)
    torch.testing.assert_close(build_pose_vertices(template), template.vertices)


def test_a_template_in_another_order_gives_the_same_hand_in_that_order():
    other = reversed_template(DOUBLE)
    angles, proportions, *_ = (value[0] for value in random_hands(1, seed=8))
    mesh, same = pose_mesh(angles, proportions), pose_mesh(angles, proportions, template=other)
    torch.testing.assert_close(same, mesh.flip(0))
    torch.testing.assert_close(regress_joints(same, other), regress_joints(mesh))
    torch.testing.assert_close(vertex_normals(same, template=other), vertex_normals(mesh).flip(0))


@pytest.mark.parametrize("side", hand.SIDES)
def test_a_hands_mesh_is_its_own_or_a_templates(side):
    pose = random_pose(side, seed=1)
    mesh = hand_mesh(pose)
    frames = HandFrames(*map(torch.from_numpy, (pose.joints_m, pose.rotations)))
    np.testing.assert_array_equal(mesh.vertices_m, skin(frames, side).numpy())
    assert mesh.template == load_template().name
    assert trimesh.Trimesh(mesh.vertices_m, mesh.faces, process=False).volume > 200e-6

    foreign = hand_mesh(pose, tetrahedron_template())
    assert foreign.template == "tetrahedron"
    assert trimesh.Trimesh(foreign.vertices_m, foreign.faces, process=False).volume > 0
    own = tetrahedron(pose.joints_m[hand.WRIST])
    for template in (None, tetrahedron_template()):
        assert hand_mesh(replace(pose, mesh=own), template) is own
    with pytest.raises(ValueError, match="no mesh: its palm is seen edge-on"):
        hand_mesh(invalid_pose(side))


def test_empty_batch_and_wrong_input():
    empty = pose_mesh(torch.zeros(0, hand.NUM_ANGLES), torch.zeros(0, hand.NUM_BONES))
    assert empty.shape == (0, len(load_template().vertices), 3)
    assert vertex_normals(empty).shape == empty.shape
    frames = forward_kinematics(angle_bounds().neutral, proportion_bounds().neutral)
    with pytest.raises(ValueError, match="joints must have shape"):
        skin(HandFrames(frames.joints[:20], frames.rotations))
    with pytest.raises(ValueError, match="rotations must have shape"):
        skin(HandFrames(frames.joints, frames.rotations[:20]))
    with pytest.raises(ValueError, match="side must be one of"):
        skin(frames, "both")


@pytest.mark.parametrize("name", GESTURES_DEG)
def test_gestures_lie_within_the_limits(name):
    assert angle_bounds(DOUBLE).contains(gesture_angles(name, DOUBLE), tolerance=1e-9)


def test_unknown_gesture_is_refused():
    with pytest.raises(ValueError, match="unknown gesture"):
        gesture_angles("wave")


@pytest.mark.slow
def test_rebuilding_gives_the_shipped_template():
    pytest.importorskip("skimage")
    from hand_pose_ros.mesh.build_template import build_template

    with np.load(TEMPLATE_PATH) as shipped:
        for name, rebuilt in build_template().items():
            if name in ("weight_bones", "regressor_vertices", "display_faces"):
                continue  # their order among equals is free; the template they give is compared below
            np.testing.assert_allclose(rebuilt, shipped[name], atol=1e-4, err_msg=name)
    assert TEMPLATE_PATH.stat().st_size < 300_000
