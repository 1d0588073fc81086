"""The closed form first: it agrees with least squares, and hands over where the anchor bone tells nothing."""

from __future__ import annotations

import pytest
import torch
from helpers.root_depth import make_scene

from hand_pose_ros import hand
from hand_pose_ros.camera.closed_form_first import root_closed_form_first
from hand_pose_ros.camera.root_depth import root_from_bone, root_from_bones
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
