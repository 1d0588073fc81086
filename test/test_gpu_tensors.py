"""Functions of the library on tensors of a GPU, pretended or real: they give what they give on the CPU."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from helpers.diffusion import CAMERA, hands_m, random_condition, random_network
from helpers.gpu import GPUS, ON_GPUS

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import view_keypoints, view_rays
from hand_pose_ros.camera.root_depth import joints_from_depths, root_from_bone, root_from_bones
from hand_pose_ros.camera.root_position import root_from_pose
from hand_pose_ros.camera.scale import scale_from_anchor, scale_from_mean_lengths
from hand_pose_ros.estimator.diffusion.batch import lift
from hand_pose_ros.estimator.placement import place_hands
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.inverse import fit_hand
from hand_pose_ros.kinematics.jacobian import joint_jacobian
from hand_pose_ros.mesh.skinning import pose_mesh, regress_joints, vertex_normals

SIZE_M = 0.09
DISTORTED = replace(CAMERA, distortion_model="plumb_bob", distortion=(0.1, 0.01, 0.001, 0.001, 0.01))


def relative(joints):
    return joints - joints[:, :1]


def of_view(joints):
    return view_keypoints(DISTORTED.rays(DISTORTED.project(joints)))


def placed(joints, size_m):
    view = of_view(joints)
    return place_hands(relative(joints), view.points, view.half_extent, size_m).joints


def mesh(fit):
    vertices = pose_mesh(fit.angles, fit.proportions, anchor_length=SIZE_M)
    return vertices, vertex_normals(vertices), regress_joints(vertices)


def jacobian(fit):
    return joint_jacobian(fit.angles, forward_kinematics(fit.angles, fit.proportions, anchor_length=SIZE_M))


def fitted(joints):
    return fit_hand(joints, image_points_px=CAMERA.project(joints), camera=CAMERA, max_iterations=20)


def bone_lengths(joints):
    return SIZE_M * joints.new_tensor(hand.PROPORTIONS)[:, 1]


FUNCTIONS = {
    "camera": lambda joints: (DISTORTED.project(joints), DISTORTED.rays(DISTORTED.project(joints))),
    "view": lambda joints: view_rays(of_view(joints), of_view(joints).points),
    "root from a bone": lambda joints: root_from_bone(
        CAMERA.normalise(CAMERA.project(joints)), relative(joints)[..., 2], SIZE_M
    )[0],
    "root from bones": lambda joints: root_from_bones(
        CAMERA.normalise(CAMERA.project(joints)), relative(joints)[..., 2], bone_lengths(joints)
    )[0],
    "root from a pose": lambda joints: root_from_pose(
        CAMERA.normalise(CAMERA.project(joints)), relative(joints)
    )[0],
    "joints from depths": lambda joints: joints_from_depths(
        CAMERA.normalise(CAMERA.project(joints)), relative(joints)[..., 2], joints[:, 0, 2]
    ),
    "scale": lambda joints: (scale_from_anchor(joints, SIZE_M), scale_from_mean_lengths(joints)),
    "placement": lambda joints: (placed(joints, None), placed(joints, SIZE_M)),
    "fit": lambda joints: fitted(joints).frames,
    "mesh": lambda joints: mesh(fitted(joints)),
    "jacobian": lambda joints: jacobian(fitted(joints)),
}
"""Functions of joints (n, 21, 3) in metres, camera frame."""


def tensors(result):
    return (result,) if isinstance(result, torch.Tensor) else tuple(result)


@ON_GPUS
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_gpu_gives_what_the_cpu_gives(name, gpu):
    joints = hands_m(2)
    expected = tensors(FUNCTIONS[name](joints))
    with GPUS[gpu]():
        found = tensors(FUNCTIONS[name](joints.to("cuda")))
        assert all(one.is_cuda for one in found)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one.cpu(), other, rtol=1e-5, atol=1e-6, equal_nan=True)


@ON_GPUS
@pytest.mark.parametrize("steps", [2, None])
def test_many_hands_are_sampled_on_the_network_s_device(gpu, steps):
    expected = lift(random_network(), random_condition(3), 4, 2).samples
    with GPUS[gpu]():
        found = lift(random_network().to("cuda"), random_condition(3), 4, steps).samples
        assert found.joints.is_cuda
        assert found.joints.isfinite().all()
        if steps:
            torch.testing.assert_close(found.joints.cpu(), expected.joints, rtol=1e-3, atol=1e-4)
