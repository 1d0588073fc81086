"""What all public functions of the hand's geometry promise: bad input is named, nothing in is nothing out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.camera.root_depth import joints_from_depths, root_from_bone, root_from_bones
from hand_pose_ros.camera.root_position import root_from_pose
from hand_pose_ros.camera.scale import scale_from_anchor, scale_from_mean_lengths
from hand_pose_ros.camera.solved_root import Reason
from hand_pose_ros.camera.virtual import VirtualCamera
from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics
from hand_pose_ros.kinematics.inverse import fit_hand
from hand_pose_ros.kinematics.limits import angle_bounds, sine_bound, sine_bound_inverse
from hand_pose_ros.kinematics.mirror import mirror_across_camera_x
from hand_pose_ros.mesh.skinning import mesh_faces, pose_mesh, regress_joints, skin, vertex_normals
from hand_pose_ros.mesh.template import load_template
from hand_pose_ros.rendering.clip import render_clip
from hand_pose_ros.rendering.renderer import HandInView
from hand_pose_ros.rotations import (
    angles_from_rotation,
    orthogonalise,
    quaternion_from_rotation,
    rotation_from_quaternion,
    rotation_from_vector,
    skew,
)
from hand_pose_ros.synthetic.poses.extract_limits import pose_statistics
from hand_pose_ros.urdf import hand_urdf

K = (420.0, 0.0, 318.5, 0.0, 430.0, 243.25, 0.0, 0.0, 1.0)
CAMERA = CameraModel.from_matrix(640, 480, K)
BOUNDS = angle_bounds()
VERTICES = load_template().vertices


def zeros(*shape: int) -> torch.Tensor:
    return torch.zeros(shape)


def frames(*batch: int) -> HandFrames:
    return HandFrames(zeros(*batch, 21, 3), zeros(*batch, 21, 3, 3))


SIDED = {
    "check_side": hand.check_side,
    "frame_name": lambda side: hand.frame_name("wrist", side),
    "joint_state_names": hand.joint_state_names,
    "forward_kinematics": lambda side: forward_kinematics(zeros(38), zeros(20), side=side),
    "fit_hand": lambda side: fit_hand(zeros(21, 3), side=side),
    "pose_statistics": lambda side: pose_statistics(zeros(1, 21, 3), side),
    "pose_mesh": lambda side: pose_mesh(zeros(38), zeros(20), side=side),
    "skin": lambda side: skin(frames(), side),
    "vertex_normals": lambda side: vertex_normals(VERTICES, side),
    "mesh_faces": mesh_faces,
    "hand_urdf": hand_urdf,
    "HandInView": lambda side: HandInView(frames(), side),
    "render_clip": lambda side: render_clip(side=side),
}


@pytest.mark.parametrize("side", ["Right", "", "both", None, 1])
@pytest.mark.parametrize("name", SIDED)
def test_a_wrong_side_is_refused_everywhere(name, side):
    with pytest.raises(ValueError, match=r"side must be one of \('left', 'right'\), got"):
        SIDED[name](side)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: orthogonalise(zeros(2, 9)), r"matrix must have shape \(..., 3, 3\), got \(2, 9\)"),
        (lambda: orthogonalise(zeros(9)), r"matrix must have shape"),
        (lambda: quaternion_from_rotation(zeros(4, 4)), "rotation must have shape"),
        (lambda: rotation_from_quaternion(zeros(5, 3)), r"quaternion must have shape \(..., 4\)"),
        (lambda: rotation_from_vector(zeros(5, 4)), r"vector must have shape \(..., 3\)"),
        (lambda: angles_from_rotation(zeros(2, 2)), "rotation must have shape"),
        (lambda: sine_bound(zeros(2, 37), BOUNDS), r"raw must have shape \(..., 38\), got \(2, 37\)"),
        (lambda: sine_bound(zeros(2, 1), BOUNDS), "raw must have shape"),
        (lambda: sine_bound_inverse(zeros(37), BOUNDS), "must have shape"),
        (lambda: BOUNDS.contains(zeros(37)), "must have shape"),
        (lambda: fit_hand(zeros(4, 21, 3), anchor_length_m=torch.ones(3)), "leading shape"),
        (lambda: skin(HandFrames(zeros(4, 21, 3), zeros(3, 21, 3, 3))), "joints, rotations do not broadcast"),
        (lambda: skin(frames(4), zeros(3)), "do not broadcast"),
        (lambda: vertex_normals(zeros(100, 3)), r"vertices must have shape \(..., \d+, 3\), got \(100, 3\)"),
        (lambda: regress_joints(zeros(100, 3)), "vertices must have shape"),
        (lambda: CAMERA.back_project(zeros(5, 2), zeros(4)), "pixels, depth do not broadcast"),
        (lambda: CAMERA.project(zeros(5, 2)), "points must have shape"),
        (lambda: CameraModel.from_matrix(640, 480, np.eye(3)), r"K must have 9 elements, got shape \(3, 3\)"),
        (lambda: CameraModel.from_matrix(640, 480, None), "K must have 9 elements"),
        (lambda: CameraModel.from_matrix(640, 480, K, "plumb_bob", np.ones((1, 5))), "one row of numbers"),
        (lambda: VirtualCamera.around_box(CAMERA, (1.0, 2.0, 3.0), 64), "got 3 numbers"),
        (
            lambda: VirtualCamera.around_box(CAMERA, (0, 0, 9, 9), 64).to_virtual(zeros(2)),
            "points must have shape",
        ),
        (lambda: root_from_bone(zeros(4, 21, 2), zeros(4, 21), bone=20), "bone must be an index"),
        (lambda: root_from_bone(zeros(4, 21, 2), zeros(4, 21), bone=-1), "bone must be an index"),
        (lambda: root_from_bone(zeros(4, 21, 2), zeros(3, 21)), "do not broadcast"),
        (lambda: root_from_bones(zeros(4, 21, 2), zeros(4, 21), zeros(3, 20)), "do not broadcast"),
        (lambda: root_from_bones(zeros(4, 21, 2), zeros(4, 21), zeros(20), zeros(3, 21)), "do not broadcast"),
        (lambda: root_from_pose(zeros(4, 21, 2), zeros(3, 21, 3)), "do not broadcast"),
        (lambda: root_from_pose(zeros(4, 0, 2), zeros(4, 0, 3)), "n > 0"),
        (lambda: joints_from_depths(zeros(4, 21, 2), zeros(4, 21), zeros(3)), "do not broadcast"),
        (lambda: scale_from_anchor(zeros(4, 21, 3), zeros(3)), "do not broadcast"),
        (lambda: scale_from_anchor(zeros(21, 3), -0.09), "anchor_length_m must be positive"),
        (lambda: scale_from_anchor(zeros(21, 3), math.nan), "anchor_length_m must be positive"),
    ],
)
def test_wrong_shapes_and_numbers_are_refused_with_a_reason(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "shapes"),
    [
        (lambda: forward_kinematics(zeros(0, 38), zeros(0, 20)), [(0, 21, 3), (0, 21, 3, 3)]),
        (lambda: mirror_across_camera_x(*frames(0)), [(0, 21, 3), (0, 21, 3, 3)]),
        (lambda: orthogonalise(zeros(2, 0, 3, 3)), [(2, 0, 3, 3)]),
        (lambda: (skew(zeros(0, 3)), rotation_from_vector(zeros(0, 3))), [(0, 3, 3), (0, 3, 3)]),
        (lambda: (sine_bound(zeros(0, 38), BOUNDS), BOUNDS.contains(zeros(0, 38))), [(0, 38), (0,)]),
        (lambda: sine_bound_inverse(zeros(0, 38), BOUNDS), [(0, 38)]),
        (lambda: skin(frames(0)), [(0, len(VERTICES), 3)]),
        (lambda: vertex_normals(zeros(0, len(VERTICES), 3), zeros(0)), [(0, len(VERTICES), 3)]),
        (lambda: regress_joints(zeros(0, len(VERTICES), 3)), [(0, 21, 3)]),
        (lambda: CAMERA.project(zeros(0, 3)), [(0, 2)]),
        (lambda: CAMERA.back_project(zeros(0, 2), zeros(0)), [(0, 3)]),
        (lambda: CAMERA.undistort_points(zeros(0, 2)), [(0, 2)]),
        (lambda: VirtualCamera.around_box(CAMERA, (0, 0, 9, 9), 64).to_camera(zeros(0, 3)), [(0, 3)]),
        (lambda: root_from_bone(zeros(0, 21, 2), zeros(0, 21)), [(0, 3), (0,), (0,), (0,), (0,)]),
        (lambda: root_from_bones(zeros(0, 21, 2), zeros(0, 21), zeros(20)), [(0, 3), (0,), (0,), (0,), (0,)]),
        (lambda: root_from_pose(zeros(0, 21, 2), zeros(0, 21, 3)), [(0, 3), (0,), (0,), (0,), (0,)]),
        (lambda: joints_from_depths(zeros(0, 21, 2), zeros(0, 21), zeros(0)), [(0, 21, 3)]),
        (
            lambda: (scale_from_anchor(zeros(0, 21, 3), 0.09), scale_from_mean_lengths(zeros(0, 21, 3))),
            [(0,), (0,)],
        ),
    ],
)
def test_an_empty_batch_gives_an_empty_result(call, shapes):
    result = call()
    assert [
        tuple(part.shape) for part in ([result] if isinstance(result, torch.Tensor) else result)
    ] == shapes


@pytest.mark.parametrize("side", hand.SIDES)
@pytest.mark.parametrize("options", [{}, {"relative": True}, {"relative": True, "anchor_length_m": 0.09}])
def test_an_empty_batch_of_image_points_gives_an_empty_fit(side, options):
    fit = fit_hand(
        zeros(0, 2, 21, 3), side=side, image_points_px=zeros(0, 2, 21, 2), camera=CAMERA, **options
    )
    assert fit.angles.shape == (0, 2, hand.NUM_ANGLES)
    assert fit.residual_px.shape == (0, 2, 21)


@pytest.mark.parametrize("length", [0.0, -1.0, math.nan])
def test_a_bone_without_a_length_is_never_valid(length):
    generator = torch.Generator().manual_seed(0)
    points, depths = torch.randn(50, 21, 2, generator=generator), torch.randn(50, 21, generator=generator)
    solution = root_from_bone(points, depths, torch.full((50,), length))
    assert (solution.reason == Reason.NO_SOLUTION).all()
    assert not root_from_bones(points, depths, torch.full((50, 20), length)).valid.any()


def test_bones_of_nan_weight_are_left_out_of_the_scale():
    joints = forward_kinematics(BOUNDS.neutral, torch.ones(20)).joints
    weights = torch.ones(20)
    weights[[3, 7]] = 0
    expected = scale_from_mean_lengths(joints, weights=weights)
    assert expected > 0
    weights[[3, 7]] = torch.nan
    assert scale_from_mean_lengths(joints, weights=weights) == expected


def test_a_crop_of_an_image_smaller_than_its_pixels():
    tiny = CameraModel.from_fov(10, 10, 1.0)
    crop = VirtualCamera.around_box(tiny, (1, 1, 9, 9), 2, enlarge=10).warp(np.full((10, 10), 255, np.uint8))
    assert crop.shape == (2, 2)
