"""The loss terms are those of the paper's equations, written out slowly."""

from __future__ import annotations

import pytest
import torch

from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.mesh.skinning import regress_joints, skin
from hand_pose_ros.mesh.template import load_template
from hand_pose_ros.synthetic.poses.sampler import PoseSampler
from hand_pose_ros.training.tasks.mesh_diffusion.losses import (
    MeshLosses,
    MeshTargets,
    mesh_terms,
    normal_consistency,
)


def targets_of(count=3):
    angles, proportions = PoseSampler().sample(count, torch.Generator().manual_seed(0))
    frames = forward_kinematics(angles, proportions)
    wrist = torch.tensor([0.1, -0.2, 7.0]).expand(count, 3)
    weight = torch.linspace(1, 2, count)
    return MeshTargets(skin(frames), frames.joints, wrist, torch.full((count,), 0.2), weight)


def test_triangles_of_a_step_are_drawn_by_the_generator():
    targets = targets_of()
    mesh = targets.vertices + 0.1 * torch.randn(
        targets.vertices.shape, generator=torch.Generator().manual_seed(1)
    )
    points = torch.zeros(3, 5, 3), torch.zeros(3, 5, 3)

    def normals(triangles, seed):
        generator = torch.Generator().manual_seed(seed)
        losses = MeshLosses(normals=1.0, triangles=triangles)
        return float(mesh_terms(mesh, points, targets, losses, generator=generator)["normals"])

    every = normals(0, 1)
    assert normals(200, 1) == normals(200, 1) != normals(200, 2)
    assert sum(normals(200, seed) for seed in range(30)) / 30 == pytest.approx(every, rel=0.02)


def test_terms_are_the_equations():
    targets = targets_of()
    generator = torch.Generator().manual_seed(1)
    mesh = targets.vertices + 0.1 * torch.randn(targets.vertices.shape, generator=generator)
    points = torch.randn(3, 5, 3, generator=generator), torch.randn(3, 5, 3, generator=generator)
    terms = mesh_terms(mesh, points, targets, MeshLosses(normals=1.0))
    joints, faces = regress_joints(mesh), load_template().faces
    expected = dict.fromkeys(terms, 0.0)
    for row, weight in enumerate((targets.weight / targets.weight.sum()).tolist()):
        placed = [one + targets.wrist[row] for one in (joints[row], targets.joints[row])]
        flat = [one[:, :2] / one[:, 2:] / 0.2 for one in placed]
        normals = []
        for a, b, c in faces[::97].tolist():
            p, q = mesh[row], targets.vertices[row]
            normal = torch.linalg.cross(q[b] - q[a], q[c] - q[a])
            normal = normal / normal.norm()
            for i, j in ((a, b), (b, c), (c, a)):
                normals.append(float(((p[j] - p[i]) / (p[j] - p[i]).norm() @ normal).abs()))
        of_hand = {
            "diffusion": float((points[0][row] - points[1][row]).square().mean()),
            "vertices": float((mesh[row] - targets.vertices[row]).square().sum(1).mean()),
            "joints": float((joints[row] - targets.joints[row]).square().sum(1).mean()),
            "joints_2d": float((flat[0] - flat[1]).square().sum(1).mean()),
            "normals": sum(normals) / len(normals),
        }
        for name, value in of_hand.items():
            expected[name] += weight * value
    some = normal_consistency(mesh, targets.vertices, faces[::97])
    assert float((some * targets.weight).sum() / targets.weight.sum()) == pytest.approx(
        expected.pop("normals"), rel=1e-4
    )
    for name, value in expected.items():
        assert float(terms[name]) == pytest.approx(value, rel=1e-4), name


def test_the_truth_has_no_loss_and_terms_can_be_left_out():
    targets = targets_of()
    points = torch.ones(3, 5, 3)
    terms = mesh_terms(targets.vertices, (points, points), targets, MeshLosses())
    assert float(terms["vertices"]) == float(terms["diffusion"]) == 0
    assert float(terms["normals"]) < 1e-6
    assert float(terms["joints"]) < 1e-3  # the regressor's own error
    kept = mesh_terms(targets.vertices, (points, points), targets, MeshLosses(normals=0.0, joints_2d=0.0))
    assert set(kept) == {"diffusion", "vertices", "joints"}


def test_gradients_are_finite_where_a_triangle_collapses_or_a_joint_is_behind_the_camera():
    targets = targets_of()
    mesh = targets.vertices.clone()
    mesh[0] = mesh[0, :1]
    mesh[1, :, 2] -= 9.0
    mesh.requires_grad_()
    points = mesh[:, :5], targets.vertices[:, :5]
    sum(mesh_terms(mesh, points, targets, MeshLosses()).values()).backward()
    assert mesh.grad.isfinite().all()


def test_bad_weights_are_refused():
    for weights in ({"vertices": -1.0}, dict.fromkeys(vars(MeshLosses()), 0.0)):
        with pytest.raises(ValueError, match="weights of the losses"):
            MeshLosses(**weights)
