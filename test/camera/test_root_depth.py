"""Root depth from 2.5D poses, and scale: exact round trips, honesty about degenerate input, derivatives."""

from __future__ import annotations

import math

import pytest
import torch
from helpers.root_depth import Scene, make_scene, scenes
from hypothesis import given, settings

from hand_pose_ros import hand
from hand_pose_ros.camera.root_depth import joints_from_depths, root_from_bone, root_from_bones
from hand_pose_ros.camera.scale import scale_from_anchor, scale_from_mean_lengths
from hand_pose_ros.camera.solved_root import MAX_CONDITION, Reason, RootSolution

SOLVERS = {
    "bone": lambda scene: root_from_bone(scene.points, scene.relative_depths),
    "bones": lambda scene: root_from_bones(scene.points, scene.relative_depths, scene.proportions),
}


def check_valid_ones_are_right(scene: Scene, solution: RootSolution) -> None:
    valid = solution.valid
    expected = scene.normalised_root[valid]
    torch.testing.assert_close(solution.position[valid], expected, rtol=1e-6, atol=1e-8)
    assert bool(solution.position[~valid].isnan().all())
    assert torch.equal(valid, solution.reason == Reason.OK)


@given(scene=scenes())
@settings(max_examples=25, deadline=None)
def test_the_solved_hand_projects_onto_its_image(scene: Scene) -> None:
    for name, solve in SOLVERS.items():
        solution = solve(scene)
        check_valid_ones_are_right(scene, solution)
        if name == "bones":  # beyond two metres a few are so small in the image that noise would rule
            assert bool((solution.valid | (solution.condition > MAX_CONDITION)).all())
        joints = joints_from_depths(scene.points, scene.relative_depths, solution.depth)
        pixels = scene.camera.project(joints[solution.valid] * 0.089)  # the image does not know the scale
        torch.testing.assert_close(pixels, scene.pixels[solution.valid], rtol=0, atol=1e-6)


def test_the_closed_form_is_the_papers_formula() -> None:
    scene = make_scene(300, 0)
    parent, child = hand.BONES[hand.ANCHOR_BONE]
    (xm, ym), (xn, yn) = scene.points[:, parent].T, scene.points[:, child].T
    zm, zn = scene.relative_depths[:, parent], scene.relative_depths[:, child]
    a = (xn - xm) ** 2 + (yn - ym) ** 2
    b = 2 * (zn * (xn**2 + yn**2 - xn * xm - yn * ym) + zm * (xm**2 + ym**2 - xn * xm - yn * ym))
    c = (xn * zn - xm * zm) ** 2 + (yn * zn - ym * zm) ** 2 + (zn - zm) ** 2 - 1
    depth = 0.5 * (-b + (b * b - 4 * a * c).sqrt()) / a
    solution = SOLVERS["bone"](scene)
    assert solution.valid.double().mean() > 0.7
    torch.testing.assert_close(solution.depth[solution.valid], depth[solution.valid], rtol=1e-9, atol=0)


def test_where_the_papers_root_is_wrong_the_closed_form_says_so() -> None:
    """Of 1,000 hands the larger root is the wrong one for some; none of those is called valid."""
    scene = make_scene(1000, 1)
    solution = SOLVERS["bone"](scene)
    check_valid_ones_are_right(scene, solution)
    ambiguous = (solution.reason == Reason.AMBIGUOUS).double().mean()
    assert 0.02 < ambiguous < 0.2
    bones = SOLVERS["bones"](scene)
    check_valid_ones_are_right(scene, bones)
    assert bones.valid.double().mean() > 0.99


def test_a_bone_that_points_at_the_camera() -> None:
    """The anchor bone along the viewing ray has no depth to tell; the other bones have."""
    scene = make_scene(50, 2, depth_m=0.5)
    ray = scene.root / scene.root.norm(dim=-1, keepdim=True)
    joints = scene.joints.clone()
    joints[:, hand.BONES[hand.ANCHOR_BONE][1]] = -ray
    joints[:, [6, 7, 8]] = joints[:, 5:6] + torch.tensor([[0.4, 0, 0], [0.6, 0, 0], [0.8, 0, 0]]).double()
    absolute = joints + scene.normalised_root[:, None]
    points = absolute[..., :2] / absolute[..., 2:]
    lengths = torch.stack([(joints[:, c] - joints[:, p]).norm(dim=-1) for p, c in hand.BONES], dim=-1)
    one = root_from_bone(points, joints[..., 2])
    assert not bool(one.valid.any())
    noisy = points + 1e-3 * torch.randn(points.shape, generator=torch.Generator().manual_seed(0)).double()
    assert not bool(root_from_bone(noisy, joints[..., 2]).valid.any())
    every = root_from_bones(points, joints[..., 2], lengths)
    assert bool(every.valid.all())
    torch.testing.assert_close(every.position, scene.normalised_root, rtol=1e-6, atol=0)


def test_contradicting_input_has_no_solution() -> None:
    scene = make_scene(20, 3)
    depths = scene.relative_depths.clone()
    depths[:, 5] = 1.5  # a bone of length 1 cannot be that deep
    solution = root_from_bone(scene.points, depths)
    assert bool((solution.reason == Reason.NO_SOLUTION).all())


def test_coinciding_points_tell_nothing() -> None:
    scene = make_scene(10, 4)
    points = scene.points[:, :1].expand(-1, 21, -1)
    for solution in (
        root_from_bone(points, torch.zeros_like(scene.relative_depths)),
        root_from_bones(points, torch.zeros_like(scene.relative_depths), scene.proportions),
    ):
        assert not bool(solution.valid.any())
        assert bool(solution.position.isnan().all())


def test_condition_predicts_the_effect_of_noise() -> None:
    scene = make_scene(1000, 5)
    sigma = 1e-4
    noise = sigma * torch.randn(scene.points.shape, generator=torch.Generator().manual_seed(0)).double()
    noisy = scene._replace(points=scene.points + noise)
    for solve in SOLVERS.values():
        exact, disturbed = solve(scene), solve(noisy)
        used = exact.valid & disturbed.valid & (exact.condition < 30)
        relative = (disturbed.depth / scene.normalised_root[:, 2] - 1)[used]
        normalised = relative / (sigma * exact.condition[used])
        assert 0.93 < normalised.std() < 1.07


def test_missing_joints_are_left_out() -> None:
    scene = make_scene(200, 6)
    generator = torch.Generator().manual_seed(0)
    missing = torch.rand(len(scene.root), 21, generator=generator) < 0.25
    missing[:, 0] = False
    points = torch.where(missing[..., None], torch.nan, scene.points)
    solution = root_from_bones(points, scene.relative_depths, scene.proportions)
    check_valid_ones_are_right(scene, solution)
    assert solution.valid.double().mean() > 0.97
    by_weight = root_from_bones(scene.points, scene.relative_depths, scene.proportions, (~missing).double())
    torch.testing.assert_close(by_weight.position, solution.position, equal_nan=True)
    one = root_from_bone(points, scene.relative_depths)
    assert bool((one.reason[missing[:, 5]] == Reason.TOO_FEW_JOINTS).all())
    points[:, 0] = torch.nan
    for solution in (
        root_from_bone(points, scene.relative_depths),
        root_from_bones(points, scene.relative_depths, scene.proportions),
        root_from_bones(scene.points, scene.relative_depths, scene.proportions, torch.zeros(21)),
    ):
        assert bool((solution.reason == Reason.TOO_FEW_JOINTS).all())


def test_one_bone_left_is_as_ambiguous_as_the_closed_form() -> None:
    scene = make_scene(500, 7)
    points = torch.full_like(scene.points, torch.nan)
    points[:, [0, 5]] = scene.points[:, [0, 5]]
    depths = torch.where(points[..., 0].isnan(), torch.nan, scene.relative_depths)
    single, every = root_from_bone(points, depths), root_from_bones(points, depths, scene.proportions)
    torch.testing.assert_close(
        every.position[every.valid & single.valid], single.position[every.valid & single.valid]
    )
    # Rivals that lie close together are the one thing that only the closed form calls ambiguous.
    assert not bool((single.valid & ~every.valid).any())
    close = (every.depth / scene.normalised_root[:, 2] - 1).abs()[every.valid]
    assert close.max() < 0.3
    assert close.median() < 1e-6


def test_gradients() -> None:
    scene = make_scene(6, 9)
    noise = 0.02 * torch.randn(6, 21, generator=torch.Generator().manual_seed(0)).double()
    points = (
        scene.points + 0.1 * noise[..., None] / scene.normalised_root[:, 2, None, None]
    ).requires_grad_()
    depths = (scene.relative_depths + noise).requires_grad_()
    lengths = scene.proportions.clone().requires_grad_()
    valid = root_from_bone(points, depths).valid
    assert int(valid.sum()) >= 3
    assert torch.autograd.gradcheck(
        lambda p, z: root_from_bone(p, z).position[valid], (points, depths), fast_mode=True
    )
    valid = root_from_bones(points, depths, lengths).valid
    assert int(valid.sum()) >= 5
    assert torch.autograd.gradcheck(
        lambda p, z, b: root_from_bones(p, z, b).position[valid],
        (points, depths, lengths),
        fast_mode=True,
        atol=1e-4,
    )


def test_gradients_stay_finite_beside_invalid_hands() -> None:
    scene = make_scene(40, 10)
    points = scene.points.clone()
    points[0] = torch.nan
    points[1] = 0.1
    points[2, 5] = points[2, 0]
    depths = scene.relative_depths.clone()
    depths[3, 5] = 3.0
    depths[4, 7] = math.inf
    points.requires_grad_()
    depths.requires_grad_()
    for solution in (root_from_bone(points, depths), root_from_bones(points, depths, scene.proportions)):
        assert not bool(solution.valid[:2].any())
        (gradient_points, gradient_depths) = torch.autograd.grad(
            solution.depth[solution.valid].sum(), (points, depths)
        )
        assert bool(gradient_points.isfinite().all())
        assert bool(gradient_depths.isfinite().all())


@pytest.mark.parametrize("name", SOLVERS)
def test_batches_single_hands_and_empty_batches(name: str) -> None:
    scene, solve = make_scene(24, 11), SOLVERS[name]
    whole = solve(scene)
    for index in range(len(scene.root)):
        one = solve(Scene(scene.camera, *(value[index] for value in scene[1:])))
        assert one.position.shape == (3,)
        torch.testing.assert_close(one.position, whole.position[index], equal_nan=True)
        assert int(one.reason) == int(whole.reason[index])
    shaped = scene.select(torch.arange(12))
    shaped = Scene(scene.camera, *(value.unflatten(0, (3, 4)) for value in shaped[1:]))
    torch.testing.assert_close(solve(shaped).position.flatten(0, 1), whole.position[:12], equal_nan=True)
    empty = solve(scene.select(torch.arange(0)))
    assert [field.shape for field in empty] == [(0, 3), (0,), (0,), (0,), (0,)]


def test_metres_instead_of_normalised_lengths() -> None:
    """Scaling every length scales the solution, and nothing else."""
    scene = make_scene(100, 12)
    scale = scene.scale[:, None]
    pairs = (
        (root_from_bone(scene.points, scene.relative_depths * scale, scene.scale), SOLVERS["bone"](scene)),
        (
            root_from_bones(scene.points, scene.relative_depths * scale, scene.proportions * scale),
            SOLVERS["bones"](scene),
        ),
    )
    for metric, normalised in pairs:
        torch.testing.assert_close(metric.position, normalised.position * scale, equal_nan=True)
        torch.testing.assert_close(metric.condition, normalised.condition)
        assert torch.equal(metric.reason, normalised.reason)
        torch.testing.assert_close(metric.depth[metric.valid], scene.root[metric.valid, 2], rtol=1e-6, atol=0)


def test_single_precision() -> None:
    scene = make_scene(300, 13)
    single = Scene(scene.camera, *(value.float() for value in scene[1:]))
    for solve in SOLVERS.values():
        solution = solve(single)
        assert solution.position.dtype == torch.float32
        error = (solution.position.double() / scene.normalised_root - 1)[solution.valid]
        assert error[:, 2].abs().max() < 1e-3


def test_scale_from_a_known_size_and_from_mean_lengths() -> None:
    scene = make_scene(20, 14)
    metres = scene.joints * scene.scale[:, None, None]
    torch.testing.assert_close(scale_from_anchor(scene.joints, scene.scale), scene.scale)
    torch.testing.assert_close(scale_from_anchor(metres, 0.089), 0.089 / scene.scale)
    own = scene.proportions * scene.scale[:, None]
    torch.testing.assert_close(scale_from_mean_lengths(scene.joints, own), scene.scale)
    # By a search: the estimate for adults' mean lengths has the least squared error.
    means = torch.tensor([hand.MEAN_ANCHOR_LENGTH_M * mean for _, mean, _ in hand.PROPORTIONS]).double()
    grid = torch.linspace(0.05, 0.13, 8001, dtype=torch.float64)[:, None, None]
    error = (grid * scene.proportions - means).square().sum(-1)
    torch.testing.assert_close(
        scale_from_mean_lengths(scene.joints), grid[error.argmin(0), 0, 0], atol=1e-5, rtol=0
    )
    holes = scene.joints.clone()
    holes[:, [3, 8, 15]] = torch.nan
    torch.testing.assert_close(scale_from_mean_lengths(holes, own), scene.scale)
    assert bool(scale_from_mean_lengths(torch.full_like(holes, torch.nan)).isnan().all())
    assert bool(scale_from_anchor(torch.zeros_like(holes), 0.09).isnan().all())
    assert torch.autograd.gradcheck(scale_from_mean_lengths, scene.joints[:2].clone().requires_grad_())


def test_wrong_shapes_are_refused() -> None:
    points, depths = torch.zeros(4, 21, 2), torch.zeros(4, 21)
    with pytest.raises(ValueError, match=r"points must have shape \(..., 21, 2\), got \(4, 20, 2\)"):
        root_from_bone(points[:, 1:], depths)
    with pytest.raises(ValueError, match="relative_depths"):
        root_from_bones(points, depths[:, 1:], torch.ones(20))
    with pytest.raises(ValueError, match="bone_lengths"):
        root_from_bones(points, depths, torch.ones(21))
    with pytest.raises(ValueError, match="weights"):
        root_from_bones(points, depths, torch.ones(20), torch.ones(4, 20))
    with pytest.raises(ValueError, match="joints must have shape"):
        scale_from_mean_lengths(points)
    with pytest.raises(ValueError, match="mean_lengths_m"):
        scale_from_mean_lengths(torch.zeros(21, 3), torch.ones(21))
