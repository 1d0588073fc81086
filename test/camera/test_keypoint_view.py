"""The canonical view does not depend on where the camera looks or how it is rolled."""

from __future__ import annotations

import math

import pytest
import torch
from helpers.diffusion import hands_m

from hand_pose_ros.camera.keypoint_view import view_keypoints, view_rays, view_square
from hand_pose_ros.rotations import rotation_from_vector

MCPS = (5, 9, 13, 17)


@pytest.fixture
def rays():
    return hands_m(6)


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("roll", [0.3, 1.5, math.pi - 0.1, -2.5])
def test_a_rolled_camera_sees_the_same_view(rays, roll):
    turn = rotation_from_vector(vector(0.0, 0.0, roll))
    before, after = view_keypoints(rays), view_keypoints(rays @ turn.mT)
    torch.testing.assert_close(after.points, before.points, rtol=0, atol=1e-5)
    torch.testing.assert_close(after.half_extent, before.half_extent, rtol=1e-5, atol=0)
    torch.testing.assert_close(after.rotation @ turn, before.rotation, rtol=0, atol=1e-5)


def test_a_turned_camera_sees_the_same_view(rays):
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        turn = rotation_from_vector(0.6 * torch.randn(3, generator=generator, dtype=torch.float64))
        before, after = view_keypoints(rays), view_keypoints(rays @ turn.mT)
        # The middle of the box is found by a few steps that start elsewhere: equal to a thousandth of the hand.
        torch.testing.assert_close(after.points, before.points, rtol=0, atol=2e-3)
        torch.testing.assert_close(after.half_extent, before.half_extent, rtol=2e-3, atol=0)


def test_the_view_is_centred_and_upright_and_filled(rays):
    view = view_keypoints(rays)
    assert (view.points.abs().amax((-2, -1)) == 1).all()
    middle = (view.points.amax(-2) + view.points.amin(-2)) / 2
    assert middle.abs().max() < 0.02
    up = view.points[:, MCPS].mean(1) - view.points[:, 0]
    assert up[:, 0].abs().max() < 1e-6
    assert (up[:, 1] < 0).all()
    torch.testing.assert_close(
        view.rotation @ view.rotation.mT, torch.eye(3, dtype=torch.float64).expand(6, 3, 3)
    )
    assert (torch.linalg.det(view.rotation) > 0).all()


def test_points_lead_back_to_the_rays(rays):
    back = view_rays(view := view_keypoints(rays), view.points)
    torch.testing.assert_close(
        torch.nn.functional.normalize(back, dim=-1), torch.nn.functional.normalize(rays, dim=-1)
    )


def test_the_length_of_rays_does_not_matter(rays):
    scale = 0.1 + 5 * torch.rand(6, 21, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(view_keypoints(scale * rays).points, view_keypoints(rays).points)


def test_mirrored_rays_give_the_mirrored_view(rays):
    flip = vector(-1.0, 1.0, 1.0)
    before, after = view_keypoints(rays), view_keypoints(rays * flip)
    torch.testing.assert_close(after.points, before.points * flip[:2], rtol=0, atol=1e-9)
    torch.testing.assert_close(after.rotation, flip[:, None] * before.rotation * flip, rtol=0, atol=1e-9)


def test_batch_and_single_agree_and_missing_stays_missing(rays):
    rays = rays.clone()
    rays[2, [0, 7, 8]] = torch.nan
    rays[3, 1:] = torch.nan
    rays[4] = torch.nan
    views = view_keypoints(rays)
    assert views.points[2].isnan().any(-1).nonzero().flatten().tolist() == [0, 7, 8]
    assert views.points[3:5].isnan().all()
    for index in range(6):
        alone = view_keypoints(rays[index])
        torch.testing.assert_close(alone.points, views.points[index], equal_nan=True)
    assert views.rotation.isfinite().all()


def test_rays_to_all_sides_give_nan_for_what_is_behind():
    rays = torch.randn(50, 21, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    view = view_keypoints(rays)
    assert view.rotation.isfinite().all()
    assert view.points.isnan().any()
    assert view.points.abs().nan_to_num().max() <= 1


@pytest.mark.parametrize("turn", [0.0, 0.7, -2.0])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_square_s_view_has_its_upper_side_up(turn, mirrored):
    corners = torch.tensor(((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)), dtype=torch.float64)
    rays = torch.cat((0.1 * corners, torch.ones(4, 1, dtype=torch.float64)), dim=-1)
    rolled = rotation_from_vector(vector(0.0, 0.0, turn))
    away = rotation_from_vector(vector(0.2, -0.3, 0.0))
    seen = rays @ (away @ rolled).mT
    flip = vector(-1.0 if mirrored else 1.0, 1.0, 1.0)
    view = view_square(seen * flip)
    assert float(view.half_extent) == pytest.approx(0.1)
    torch.testing.assert_close((seen * flip) @ view.rotation.mT, rays * flip, rtol=0, atol=1e-9)
    assert torch.linalg.det(view.rotation) == pytest.approx(1.0)
    assert view.points.isnan().all()


def test_a_wrong_shape_is_refused():
    with pytest.raises(ValueError, match="rays must have shape"):
        view_keypoints(torch.zeros(21, 2))
