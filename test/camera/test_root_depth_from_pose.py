"""Root position from whole relative poses: exact round trips, OpenCV's SQPnP, outliers, derivatives."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from helpers.root_depth import Scene, make_scene, scenes
from hypothesis import given, settings

from hand_pose_ros.camera.root_position import root_from_pose
from hand_pose_ros.camera.solved_root import Reason


def metric_joints(scene: Scene) -> torch.Tensor:
    return scene.joints * scene.scale[:, None, None]


def noisy_points(scene: Scene, noise_px: float, seed: int = 0) -> torch.Tensor:
    noise = torch.randn(
        scene.pixels.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return scene.camera.normalise(scene.pixels + noise_px * noise)


@given(scene=scenes())
@settings(max_examples=25, deadline=None)
def test_the_solved_hand_projects_onto_its_image(scene: Scene) -> None:
    for options in ({}, {"huber_delta": 0.01}, {"noise_ratio": 1.0}):
        solution = root_from_pose(scene.points, metric_joints(scene), **options)
        assert bool(solution.valid.all())
        torch.testing.assert_close(solution.position, scene.root, rtol=1e-6, atol=1e-8)
        pixels = scene.camera.project(metric_joints(scene) + solution.position[:, None])
        torch.testing.assert_close(pixels, scene.pixels, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("noise_ratio", "delta"), [(0.0, None), (0.0, 0.002), (1.5, None)])
def test_it_is_the_minimum_of_the_error(noise_ratio: float, delta: float | None) -> None:
    """Against the loss written out: the solution is where autograd finds no slope."""
    scene = make_scene(40, 0, depth_m=0.5)
    points, joints = noisy_points(scene, 3.0), metric_joints(scene)

    def loss(position: torch.Tensor) -> torch.Tensor:
        absolute = joints + position[:, None]
        depth = absolute[..., 2]
        across = (absolute[..., :2] - points * depth[..., None]).norm(dim=-1)
        error = across / (depth.square() + noise_ratio**2).sqrt()
        if delta is None:
            return error.square().sum()
        return torch.where(error < delta, error.square(), 2 * delta * error - delta * delta).sum()

    solution = root_from_pose(points, joints, noise_ratio=noise_ratio, huber_delta=delta)
    assert bool(solution.valid.all())
    at_solution = torch.autograd.functional.jacobian(loss, solution.position)
    beside = torch.autograd.functional.jacobian(loss, solution.position + 1e-3)
    assert at_solution.abs().max() < 1e-4 * beside.abs().max()


def test_noise_in_the_pose_does_not_shift_the_depth() -> None:
    """10 mm of noise in the joints, 2 px in the image: the reprojection error alone puts hands too far."""
    scene = make_scene(1000, 12, depth_m=0.6)
    generator = torch.Generator().manual_seed(0)
    joints = metric_joints(scene) + 0.01 * torch.randn(scene.joints.shape, generator=generator).double()
    points = noisy_points(scene, 2.0)
    reprojection = root_from_pose(points, joints)
    both = root_from_pose(points, joints, noise_ratio=0.01 / (2.0 / 600.0))
    assert (reprojection.depth / scene.root[:, 2]).median() > 1.05
    assert (both.depth / scene.root[:, 2]).median() == pytest.approx(1.0, abs=0.01)
    errors = [(solution.position - scene.root).norm(dim=-1).median() for solution in (both, reprojection)]
    assert errors[0] < 0.7 * errors[1]


def test_at_one_pixel_of_noise_it_is_at_least_as_accurate_as_sqpnp() -> None:
    for depth_m in (0.3, 0.6, 1.2):
        scene = make_scene(150, 1, depth_m=depth_m)
        joints, points = metric_joints(scene), noisy_points(scene, 1.0)
        ours = (root_from_pose(points, joints).position - scene.root).norm(dim=-1)
        theirs = []
        for index in range(len(points)):
            _, _, translation = cv2.solvePnP(
                joints[index].numpy(), points[index].numpy(), np.eye(3), None, flags=cv2.SOLVEPNP_SQPNP
            )
            theirs.append(np.linalg.norm(translation[:, 0] - scene.root[index].numpy()))
        assert ours.mean() <= np.mean(theirs)
        assert ours.median() <= np.median(theirs)


def test_condition_predicts_the_effect_of_noise() -> None:
    scene = make_scene(1000, 2)
    sigma = 1e-4
    noise = torch.randn(scene.points.shape, generator=torch.Generator().manual_seed(0)).double()
    # A weight of 1 / 4 stands for twice the noise.
    weights = torch.where(torch.arange(21) % 2 == 0, 1.0, 0.25)
    points = scene.points + sigma * noise / weights.sqrt()[:, None]
    exact, disturbed = (root_from_pose(p, scene.joints, weights) for p in (scene.points, points))
    relative = disturbed.depth / scene.normalised_root[:, 2] - 1
    normalised = relative / (sigma * exact.condition)
    assert 0.93 < normalised.std() < 1.07


def test_hubers_loss_withstands_wrong_joints() -> None:
    scene = make_scene(100, 3, depth_m=0.6)
    points = noisy_points(scene, 1.0)
    points[:, [7, 16, 18]] += 0.15
    joints = metric_joints(scene)
    plain = (root_from_pose(points, joints).position - scene.root).norm(dim=-1)
    robust = root_from_pose(points, joints, huber_delta=2 / 600)
    assert bool(robust.valid.all())
    assert (robust.position - scene.root).norm(dim=-1).mean() < 0.3 * plain.mean()


def test_missing_joints_are_left_out() -> None:
    scene = make_scene(100, 4)
    joints = metric_joints(scene)
    missing = torch.rand(len(joints), 21, generator=torch.Generator().manual_seed(0)) < 0.3
    half = missing & (torch.arange(21) % 2 == 0)
    points = torch.where(half[..., None], torch.nan, scene.points)
    holes = torch.where((missing & ~half)[..., None], torch.nan, joints)
    solution = root_from_pose(points, holes)
    assert bool(solution.valid.all())
    torch.testing.assert_close(solution.position, scene.root, rtol=1e-6, atol=1e-8)
    weights = torch.where(missing, torch.nan, 1.0)
    wrong = torch.where(missing[..., None], 7.0, scene.points)
    torch.testing.assert_close(root_from_pose(wrong, joints, weights).position, solution.position)


def test_two_joints_are_enough_and_one_is_not() -> None:
    scene = make_scene(20, 5, depth_m=0.5)
    weights = torch.zeros(21)
    weights[[0, 12]] = 1
    two = root_from_pose(scene.points, metric_joints(scene), weights, max_condition=1e6)
    torch.testing.assert_close(two.position[two.valid], scene.root[two.valid], rtol=1e-6, atol=0)
    assert two.valid.double().mean() > 0.9
    weights[12] = 0
    one = root_from_pose(scene.points, metric_joints(scene), weights)
    assert bool((one.reason == Reason.TOO_FEW_JOINTS).all())
    assert bool(one.position.isnan().all())


def test_degenerate_input_is_not_valid() -> None:
    scene = make_scene(10, 6, depth_m=0.5)
    joints = metric_joints(scene)
    same = root_from_pose(scene.points[:, :1].expand(-1, 21, -1), joints)
    assert not bool(same.valid.any())
    turned = root_from_pose(-scene.points, joints)  # what only a hand behind the camera shows
    assert not bool(turned.valid.any())
    inside_out = root_from_pose(scene.points, joints * torch.tensor([-1.0, -1.0, 1.0]).double())
    assert bool((inside_out.reason == Reason.BEHIND_CAMERA).all())


@pytest.mark.parametrize(("noise_ratio", "huber_delta"), [(0.0, None), (0.7, None), (0.7, 0.002)])
def test_gradients(noise_ratio: float, huber_delta: float | None) -> None:
    scene = make_scene(5, 7, depth_m=0.4)
    points = noisy_points(scene, 3.0).requires_grad_()
    joints = metric_joints(scene).requires_grad_()
    weights = (0.5 + torch.rand(5, 21, generator=torch.Generator().manual_seed(0)).double()).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda p, j, w: root_from_pose(p, j, w, noise_ratio=noise_ratio, huber_delta=huber_delta).position,
        (points, joints, weights),
        fast_mode=True,
        atol=1e-4,
    )


def test_gradients_stay_finite_beside_invalid_hands() -> None:
    scene = make_scene(20, 8)
    points, joints = scene.points.clone(), metric_joints(scene)
    points[0] = torch.nan
    points[1] = 0.1
    points[2, 4] = torch.nan
    joints[3] = 0
    points.requires_grad_()
    joints.requires_grad_()
    solution = root_from_pose(points, joints, huber_delta=0.01)
    assert not bool(solution.valid[[0, 1, 3]].any())
    for gradient in torch.autograd.grad(solution.position[solution.valid].sum(), (points, joints)):
        assert bool(gradient.isfinite().all())


def test_batches_single_hands_and_empty_batches() -> None:
    scene = make_scene(12, 9)
    points, joints = noisy_points(scene, 2.0), metric_joints(scene)
    whole = root_from_pose(points, joints)
    for index in range(len(points)):
        one = root_from_pose(points[index], joints[index])
        torch.testing.assert_close(one.position, whole.position[index], rtol=1e-5, atol=0)
    shared = root_from_pose(points, joints[0])
    assert shared.position.shape == (len(points), 3)
    shaped = root_from_pose(points[:12].unflatten(0, (3, -1)), joints[:12].unflatten(0, (3, -1)))
    torch.testing.assert_close(shaped.position.flatten(0, 1), whole.position, rtol=1e-5, atol=0)
    assert [field.shape for field in root_from_pose(points[:0], joints[:0])] == [
        (0, 3),
        (0,),
        (0,),
        (0,),
        (0,),
    ]


def test_scaling_the_hand_scales_the_position_and_nothing_else() -> None:
    scene = make_scene(50, 10)
    points = noisy_points(scene, 1.0)
    metric, normalised = root_from_pose(points, metric_joints(scene)), root_from_pose(points, scene.joints)
    torch.testing.assert_close(metric.position, normalised.position * scene.scale[:, None])
    torch.testing.assert_close(metric.condition, normalised.condition)


def test_single_precision() -> None:
    scene = make_scene(100, 11)
    solution = root_from_pose(scene.points.float(), metric_joints(scene).float())
    assert solution.position.dtype == torch.float32
    assert bool(solution.valid.all())
    assert (solution.depth.double() / scene.root[:, 2] - 1).abs().max() < 1e-4


def test_bad_input_is_refused() -> None:
    points, joints = torch.zeros(4, 21, 2), torch.zeros(4, 21, 3)
    with pytest.raises(ValueError, match=r"points must have shape \(..., n, 2\)"):
        root_from_pose(joints, joints)
    with pytest.raises(ValueError, match=r"relative_joints must have shape \(..., 21, 3\)"):
        root_from_pose(points, joints[:, 1:])
    with pytest.raises(ValueError, match=r"weights must have shape \(..., 21\)"):
        root_from_pose(points, joints, torch.ones(20))
    with pytest.raises(ValueError, match="noise_ratio must be zero or positive"):
        root_from_pose(points, joints, noise_ratio=-1.0)
    with pytest.raises(ValueError, match="huber_delta must be positive"):
        root_from_pose(points, joints, huber_delta=0.0)
