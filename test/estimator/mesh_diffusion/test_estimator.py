"""The mesh diffusion estimator with a perfect network: meshes and hands where they are, through any lens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.frames import blank_frame
from helpers.hand_poses import assert_hand_within_limits
from helpers.heatmap import CAMERA, DISTORTED, SIZE_M
from helpers.mesh_estimator import PerfectMesh, known_meshes, seen_hand

from hand_pose_ros import hand
from hand_pose_ros.estimator.mesh_diffusion.estimator import (
    MeshDiffusionEstimator,
    MeshDiffusionEstimatorConfig,
)
from hand_pose_ros.estimator.mesh_diffusion.reading import NO_FEATURES
from hand_pose_ros.estimator.placement import place
from hand_pose_ros.mesh.skinning import hand_mesh, mesh_faces, regress_joints
from hand_pose_ros.networks.mesh_diffusion.config import MeshDiffusionConfig
from hand_pose_ros.rotations import rotation_from_vector

CAMERAS = {"pinhole": CAMERA, "distorted": DISTORTED}


def posed(camera, vertices, side="right", size_m: float | None = SIZE_M, config=None, **network):
    """Poses of hands of one side in one frame, and the network."""
    perfect = PerfectMesh(camera, vertices, [side] * len(vertices), **network)
    estimator = MeshDiffusionEstimator(perfect, config, size_m)
    detections = [seen_hand(camera, one, side, number) for number, one in enumerate(vertices)]
    return place(estimator.estimate(blank_frame(camera), detections)), perfect


def far(mesh, truth):
    return np.linalg.norm(mesh.vertices_m - truth.numpy(), axis=1).max()


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("side", hand.SIDES)
def test_a_perfect_network_gives_mesh_and_hand_where_they_are(camera, side):
    vertices = known_meshes(4, side)
    poses, network = posed(CAMERAS[camera], vertices, side)
    assert network.signs == [1.0 if side == "right" else -1.0] * 4
    for pose, truth in zip(poses, vertices, strict=True):
        assert pose.valid, pose.reason
        assert far(pose.mesh, truth) < 0.003
        np.testing.assert_array_equal(pose.mesh.faces, mesh_faces(side).numpy())
        assert hand_mesh(pose) is pose.mesh
        joints = regress_joints(truth.float())
        assert np.linalg.norm(pose.joints_m - joints.numpy(), axis=1).max() < 0.005
        assert_hand_within_limits(pose)


def test_without_a_size_the_mesh_has_the_hand_s_scale():
    vertices = known_meshes(2)
    for pose, truth in zip(posed(CAMERA, vertices, size_m=None)[0], vertices, strict=True):
        scale = pose.anchor_length_m / SIZE_M
        assert np.linalg.norm(pose.mesh.vertices_m / scale - truth.numpy(), axis=1).max() < 0.004


def test_hypotheses_give_the_deviations_of_joints_and_vertices():
    (vertices,) = known_meshes(1)
    shifts = torch.zeros(4, len(vertices), 3)
    shifts[0, :, 2], shifts[1, :, 2] = 0.1, -0.1
    still = regress_joints(vertices.float())[hand.WRIST]
    near = (vertices - still).norm(dim=1) < 0.02  # the wrist stays, to which all is relative
    shifts[:, near] = 0.0
    config = replace(MeshDiffusionConfig(points=64, width=16), spread_scale=2.0)
    (pose,), _ = posed(CAMERA, vertices[None], shifts=shifts)
    assert pose.mesh.sigma_m[~near.numpy()].min() > 10 * pose.mesh.sigma_m[near.numpy()].max()
    np.testing.assert_allclose(pose.mesh.sigma_m[~near.numpy()], SIZE_M * 0.1 * np.sqrt(2 / 3 / 3), rtol=1e-3)
    (alike,), _ = posed(CAMERA, vertices[None])
    # The landmarks hold the fingers in their place, so the deviation of their depth moves the wrist.
    assert pose.joint_sigma_m[hand.WRIST] > 1.05 * alike.joint_sigma_m[hand.WRIST]
    assert alike.mesh.sigma_m.max() < 1e-6
    estimator = MeshDiffusionEstimator(PerfectMesh(CAMERA, vertices[None], ["right"], config, shifts))
    (calibrated,) = place(estimator.estimate(blank_frame(CAMERA), [seen_hand(CAMERA, vertices, "right", 0)]))
    shares = [(one.mesh.sigma_m / one.anchor_length_m)[~near.numpy()] for one in (calibrated, pose)]
    np.testing.assert_allclose(shares[0], 2 * shares[1], rtol=1e-3)


def test_one_hypothesis_leaves_the_covariance_unknown():
    config = MeshDiffusionEstimatorConfig(samples=1)
    (pose,), _ = posed(CAMERA, known_meshes(1), config=config)
    assert pose.valid
    assert np.isnan(pose.covariance_m2).all()
    assert np.isnan(pose.mesh.sigma_m).all()


def test_the_likeliest_hypothesis_lies_on_the_landmarks():
    vertices = known_meshes(2)
    turn = rotation_from_vector(torch.tensor((0.0, 0.0, 0.6)))
    shifts = torch.zeros(3, vertices.shape[1], 3)

    class Turned(PerfectMesh):
        def hypotheses(self, inputs, sign, noise, steps, conditions=None):
            meshes = super().hypotheses(inputs, sign, noise, steps)
            return torch.stack((meshes[:, 0] @ turn.mT, meshes[:, 1], meshes[:, 2] @ turn), 1)

    errors = {}
    for choice in ("likelihood", "mean"):
        network = Turned(CAMERA, vertices, ["right"] * 2, shifts=shifts)
        config = MeshDiffusionEstimatorConfig(samples=3, choice=choice)
        estimator = MeshDiffusionEstimator(network, config, SIZE_M)
        seen = [seen_hand(CAMERA, one, "right", number) for number, one in enumerate(vertices)]
        poses = place(estimator.estimate(blank_frame(CAMERA), seen))
        errors[choice] = max(far(pose.mesh, truth) for pose, truth in zip(poses, vertices, strict=True))
    assert errors["likelihood"] < 0.003 < errors["mean"]


def test_hands_that_cannot_be_estimated_get_a_reason_each():
    vertices = known_meshes(5)
    network = PerfectMesh(CAMERA, vertices, ["right"] * 5, broken=[1])
    estimator = MeshDiffusionEstimator(network, hand_size_m=SIZE_M)
    seen = [seen_hand(CAMERA, one, "right", number) for number, one in enumerate(vertices)]
    seen[2] = replace(seen[2], crop=None)
    features = np.full_like(seen[3].crop.features, np.nan)
    seen[3] = replace(seen[3], crop=replace(seen[3].crop, features=features))
    seen[4] = replace(seen[4], landmarks_px=None)
    poses = place(estimator.estimate(blank_frame(CAMERA), seen))
    assert [one.valid for one in poses] == [True, False, False, False, False]
    reasons = [one.reason for one in poses[1:]]
    assert reasons == [
        "the network's mesh is not finite",
        NO_FEATURES,
        "the features of the image are not finite",
        "the detector gives no landmarks",
    ]
    assert place(estimator.estimate(blank_frame(CAMERA), [])) == []
    assert not any(one.valid for one in place(estimator.estimate(blank_frame(CAMERA), seen[1:2])))


def test_a_track_starts_from_its_last_frame():
    vertices = known_meshes(1)
    estimator = MeshDiffusionEstimator(PerfectMesh(CAMERA, vertices, ["right"]), hand_size_m=SIZE_M)
    seen = [seen_hand(CAMERA, vertices[0], "right", 0, track_id=3)]
    first = place(estimator.estimate(blank_frame(CAMERA), seen))[0]
    again = place(estimator.estimate(blank_frame(CAMERA), seen))[0]
    estimator.reset()
    after = place(estimator.estimate(blank_frame(CAMERA), seen))[0]
    np.testing.assert_allclose(again.joints_m, first.joints_m, atol=1e-3)
    np.testing.assert_array_equal(after.joints_m, first.joints_m)


def test_more_steps_than_the_diffusion_has_are_refused():
    network = PerfectMesh(
        CAMERA, known_meshes(1), ["right"], MeshDiffusionConfig(points=64, width=16, steps=3)
    )
    with pytest.raises(ValueError, match="steps must be at most 3"):
        MeshDiffusionEstimator(network, MeshDiffusionEstimatorConfig(steps=4))
    with pytest.raises(ValueError, match="choice must be one of"):
        MeshDiffusionEstimatorConfig(choice="worst")
