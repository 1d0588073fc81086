"""Two forms of the root depth: they agree, and each hands over to the other where it is not valid."""

from __future__ import annotations

import pytest
import torch
from helpers.root_depth import make_scene

from hand_pose_ros import hand
from hand_pose_ros.camera.root_depth import root_from_bone, root_from_bones
from hand_pose_ros.camera.root_forms import root_all_bones_first, root_closed_form_first
from hand_pose_ros.camera.solved_root import Reason
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.rotations import rotation_from_vector

WRIST = torch.tensor((0.3, -0.2, 6.0), dtype=torch.float64)  # anchor lengths


def mean_hands(turns_rad):
    """2.5D poses of the neutral, mean hand; at 0 its anchor bone points away along the wrist's ray."""
    turns = torch.as_tensor(turns_rad, dtype=torch.float64)
    count = len(turns)
    angles, proportions = angle_bounds(torch.float64).neutral, proportion_bounds(torch.float64).neutral
    neutral = forward_kinematics(angles.expand(count, -1), proportions.expand(count, -1)).joints
    tipped = rotation_from_vector(torch.stack((turns, 0 * turns, 0 * turns), dim=-1))
    joints = neutral @ (tipped @ turned_onto(neutral[0, hand.ANCHOR_JOINT], WRIST)).mT + WRIST
    return joints[..., :2] / joints[..., 2:], joints[..., 2] - joints[:, :1, 2]


def turned_onto(source, target):
    """The rotation of least angle that turns one direction (3,) onto another."""
    source, target = source / source.norm(), target / target.norm()
    axis = torch.linalg.cross(source, target)
    return rotation_from_vector(axis / axis.norm() * torch.acos(source @ target))


def test_both_forms_agree_on_well_conditioned_hands():
    points, depths = mean_hands(torch.linspace(0.7, 2.4, 13))
    proportions = proportion_bounds(torch.float64).neutral.expand(len(points), -1)
    closed, squares = root_from_bone(points, depths), root_from_bones(points, depths, proportions)
    chosen = root_closed_form_first(points, depths)
    assert bool(chosen.closed_form.all())
    assert not bool(chosen.least_squares.any())
    assert float((closed.depth / squares.depth - 1).abs().max()) < 0.01
    torch.testing.assert_close(chosen.solution.position, WRIST.expand(13, 3), rtol=1e-9, atol=1e-9)


def test_the_least_squares_take_over_where_the_anchor_bone_points_at_the_camera():
    """At 0 the bone wrist -> index MCP has no length in the image: eq. 6 has a = 0."""
    points, depths = mean_hands(torch.linspace(-0.4, 0.4, 41))
    closed, chosen = root_from_bone(points, depths), root_closed_form_first(points, depths)
    assert torch.equal(chosen.closed_form, closed.valid)
    assert int(chosen.closed_form.sum()) > 5
    assert int(chosen.least_squares.sum()) > 5
    assert {Reason.AMBIGUOUS, Reason.ILL_CONDITIONED} & {Reason(int(one)) for one in closed.reason}
    valid = chosen.solution.valid
    assert torch.equal(valid, chosen.closed_form | chosen.least_squares)
    torch.testing.assert_close(
        chosen.solution.position[valid], WRIST.expand(int(valid.sum()), 3), rtol=1e-4, atol=1e-4
    )


def test_hands_of_any_proportions_and_any_leading_shape():
    """Each pose gets the solution of the form that solves it, alone or in a batch."""
    scene = make_scene(60, 3)
    given = root_closed_form_first(scene.points, scene.relative_depths, scene.proportions)
    torch.testing.assert_close(
        given.solution.position[given.solution.valid],
        scene.normalised_root[given.solution.valid],
        rtol=1e-6,
        atol=1e-8,
    )
    shaped = root_closed_form_first(
        scene.points.unflatten(0, (3, 20)), scene.relative_depths.unflatten(0, (3, 20))
    )
    for row in range(60):
        alone = root_closed_form_first(scene.points[row], scene.relative_depths[row])
        assert bool(alone.closed_form) == bool(shaped.closed_form.flatten()[row])
        for one, other in zip(alone.solution, shaped.solution, strict=True):
            torch.testing.assert_close(other.flatten(0, 1)[row], one, equal_nan=True)
    assert 0 < int(shaped.least_squares.sum()) < int(shaped.closed_form.sum())


def test_a_pose_without_its_wrist_is_solved_by_neither():
    points, depths = mean_hands([1.5, 1.5])
    points[0, hand.WRIST] = torch.nan
    chosen = root_closed_form_first(points, depths)
    assert chosen.closed_form.tolist() == [False, True]
    assert not bool(chosen.least_squares.any())
    assert Reason(int(chosen.solution.reason[0])) == Reason.TOO_FEW_JOINTS
    with pytest.raises(ValueError, match="relative_depths"):
        root_closed_form_first(points, depths[:, :20])


def noise_of(points, sigma):
    """Standard deviations of image points and of depths twice as large, in units of the hand's extent."""
    return torch.full(points.shape[:-1], sigma, dtype=points.dtype), torch.full(
        points.shape[:-1], 2 * sigma * float(WRIST[2]), dtype=points.dtype
    )


def test_all_bones_are_exact_on_mean_hands_of_any_direction():
    points, depths = mean_hands(torch.linspace(-0.4, 2.4, 41))
    chosen = root_all_bones_first(points, depths, *noise_of(points, 1e-3))
    assert bool(chosen.solution.valid.all())
    assert not bool(chosen.closed_form.any())
    torch.testing.assert_close(chosen.solution.position, WRIST.expand(41, 3), rtol=1e-4, atol=1e-4)


def test_all_bones_agree_with_the_closed_form_on_well_conditioned_hands():
    """Without noise the anchor bone, whose length is certain, decides for hands of any proportions."""
    scene = make_scene(60, 3)
    depths = scene.relative_depths
    closed = root_closed_form_first(scene.points, depths)
    sure = closed.closed_form & (closed.solution.condition < 15)
    chosen = root_all_bones_first(scene.points, depths, *noise_of(scene.points, 1e-5))
    both = sure & chosen.solution.valid
    assert int(both.sum()) > 10
    ratio = chosen.solution.depth[both] / closed.solution.depth[both]
    assert float((ratio - 1).abs().max()) < 0.01


def test_all_bones_are_nearer_than_the_closed_form_in_noise():
    """The noise is what the solver is told; other bones are mean, so the anchor bone has no advantage."""
    points, depths = (value.repeat(20, *[1] * (value.ndim - 1)) for value in mean_hands([0.7, 1.2, 1.6, 2.2]))
    sigma, depth_sigma = noise_of(points, 2e-3)
    generator = torch.Generator().manual_seed(5)
    normal = torch.randn(*depths.shape, 3, dtype=torch.float64, generator=generator)
    points, noisy = points + sigma[..., None] * normal[..., :2], depths + depth_sigma * normal[..., 2]
    noisy = noisy - noisy[:, :1]
    closed = root_closed_form_first(points, noisy).solution.depth
    chosen = root_all_bones_first(points, noisy, sigma, depth_sigma).solution.depth
    both = closed.isfinite() & chosen.isfinite()
    assert int(both.sum()) > 60
    errors = [(one[both] / WRIST[2] - 1).abs().mean() for one in (closed, chosen)]
    assert float(errors[1]) < 0.75 * float(errors[0]), errors


def test_the_closed_form_takes_over_where_the_bones_are_not_valid():
    scene = make_scene(60, 3)
    generator = torch.Generator().manual_seed(1)
    normal = torch.randn(60, 21, 3, dtype=torch.float64, generator=generator)
    points = scene.points + 0.02 * normal[..., :2]
    depths = scene.relative_depths + 0.2 * normal[..., 2]
    depths = depths - depths[:, :1]
    noise = (torch.full_like(depths, 0.02), torch.full_like(depths, 0.2))
    chosen = root_all_bones_first(points, depths, *noise)
    proportions = proportion_bounds(torch.float64).neutral.expand(60, -1)
    squares, closed = root_from_bones(points, depths, proportions), root_from_bone(points, depths)
    assert torch.equal(chosen.closed_form, closed.valid & ~squares.valid)
    assert int(chosen.closed_form.sum()) > 2
    assert torch.equal(chosen.solution.valid, closed.valid | squares.valid)
    torch.testing.assert_close(
        chosen.solution.position[chosen.closed_form], closed.position[chosen.closed_form]
    )
    for row in range(0, 60, 5):
        alone = root_all_bones_first(points[row], depths[row], noise[0][row], noise[1][row])
        assert bool(alone.closed_form) == bool(chosen.closed_form[row])
        for one, other in zip(alone.solution, chosen.solution, strict=True):
            torch.testing.assert_close(one, other[row], equal_nan=True)
    with pytest.raises(ValueError, match="sigma"):
        root_all_bones_first(points, depths, noise[0][:, :20], noise[1])
