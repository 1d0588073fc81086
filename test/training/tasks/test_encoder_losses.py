"""The encoder's losses: unknown labels are free, spreads fit the errors, rotated images agree."""

from __future__ import annotations

import math

import pytest
import torch

from hand_pose_ros.networks.image.image_encoder import ImageFeatures
from hand_pose_ros.training.tasks.encoder_losses import (
    equivariant_nt_xent,
    heat_loss,
    keypoint_losses,
    l1_over,
    pose_weights,
    presence_loss,
    weighted_mean,
)


def features(points, depth=None, sigma=None):
    count = len(points)
    return ImageFeatures(
        torch.zeros(count, 4),
        points,
        torch.zeros(count, 21) if depth is None else depth,
        torch.ones(count, 21) if sigma is None else sigma,
        torch.zeros(count),
        torch.zeros(count, 21, 4, 4),
    )


def test_keypoint_losses_are_mean_errors_of_known_joints_inside_the_crop():
    seen = features(torch.zeros(2, 21, 2), torch.full((2, 21), 0.5))
    points, depth = torch.full((2, 21, 2), 0.25), torch.zeros(2, 21)
    points[0, 3], points[1, 4, 0], depth[1, 5] = torch.nan, 1.6, torch.nan
    losses = keypoint_losses(seen, points, depth, torch.ones(2), 1.5)
    assert losses["points"].item() == pytest.approx(0.25)
    assert losses["depth"].item() == pytest.approx(0.5)
    half = keypoint_losses(seen, points, depth, torch.full((2,), 0.5), 1.5)
    assert half["points"].item() == pytest.approx(0.125)


def test_unknown_labels_have_no_gradient_and_no_nan():
    points = torch.zeros(2, 21, 2, requires_grad=True)
    depth = torch.zeros(2, 21, requires_grad=True)
    truth = torch.full((2, 21, 2), torch.nan)
    truth[0] = 0.5
    losses = keypoint_losses(features(points, depth), truth, truth[..., 0], torch.ones(2), 1.5)
    sum(losses.values()).backward()
    for gradient in (points.grad, depth.grad):
        assert gradient.isfinite().all()
        assert gradient[0].any()
        assert not gradient[1].any()
    nothing = keypoint_losses(
        features(points, depth), truth * torch.nan, truth[..., 0] * torch.nan, torch.ones(2), 1.5
    )
    assert all(term.item() == 0 for term in nothing.values())


def test_the_spread_that_is_most_likely_is_the_mean_absolute_error():
    generator = torch.Generator().manual_seed(0)
    scale = 0.1
    uniform = torch.rand(500, 21, 2, generator=generator) - 0.5
    truth = -scale * uniform.sign() * torch.log1p(-2 * uniform.abs())
    log_sigma = torch.zeros((), requires_grad=True)
    optimiser = torch.optim.Adam([log_sigma], 0.1)
    for _ in range(150):
        optimiser.zero_grad()
        seen = features(torch.zeros(500, 21, 2), sigma=log_sigma.exp().expand(500, 21))
        keypoint_losses(seen, truth, truth[..., 0], torch.ones(500), 1.5)["spread"].backward()
        optimiser.step()
    assert log_sigma.exp().item() == pytest.approx(scale, rel=0.05)


def test_heatmaps_are_best_where_the_joints_are():
    points = torch.tensor([0.3, -0.6]).expand(1, 21, 2).clone()
    places = torch.arange(16.0)
    column, row = (0.3 / 1.5 + 1) * 8 - 0.5, (-0.6 / 1.5 + 1) * 8 - 0.5
    log_heat = -((places - column)[None].square() + (places - row)[:, None].square()) / 2
    log_heat = log_heat.flatten().log_softmax(0).view(1, 1, 16, 16).expand(1, 21, 16, 16).clone()
    weight = torch.ones(1)
    assert heat_loss(log_heat, points, weight, 1.5).item() == pytest.approx(0, abs=1e-6)
    assert heat_loss(log_heat.roll(1, -1), points, weight, 1.5).item() == pytest.approx(0.5, abs=0.02)
    assert heat_loss(log_heat.roll(1, -2), points, weight, 1.5).item() == pytest.approx(0.5, abs=0.02)
    points[:, 1:] = torch.nan
    points[:, 1:3] = 1.6
    log_heat.requires_grad_()
    heat_loss(log_heat + log_heat.detach().roll(3, -1), points, weight, 1.5).backward()
    assert log_heat.grad[:, 0].any()
    assert log_heat.grad.isfinite().all()
    assert not log_heat.grad[:, 1:].any()


def test_uncertain_poses_weigh_less_and_unknown_ones_nothing():
    joints = torch.zeros(3, 21, 3)
    joints[2, 4] = torch.nan
    sigma = torch.zeros(3, 21)
    sigma[1] = 0.15
    weights = pose_weights(torch.tensor([1.0, 0.8, 1.0]), sigma, joints)
    torch.testing.assert_close(weights[0], torch.ones(21))
    torch.testing.assert_close(weights[1], torch.full((21,), 0.4))
    assert not weights[2].any()
    assert weighted_mean(torch.ones(3, 21), weights).item() == pytest.approx(0.7)
    truth = torch.where(weights[..., None] > 0, 2.0, torch.nan).expand(3, 21, 3)
    assert l1_over(torch.zeros(3, 21, 3), truth, (weights > 0).float()).item() == pytest.approx(2.0)


def test_presence_counts_hands_and_others_alike():
    logits = torch.tensor([100.0, 100.0, 100.0, 0.0])
    assert presence_loss(logits, 3).item() == pytest.approx(math.log(2) / 2)
    assert presence_loss(logits[:3], 3).item() == pytest.approx(0)


def turned(points, roll, shift, scale):
    """Points (k, 2) of a stored view in a view centred at ``shift``, rolled, and ``scale`` times as wide."""
    cosine, sine = math.cos(roll), math.sin(roll)
    return (points - shift) / scale @ torch.tensor([[cosine, sine], [-sine, cosine]])


def test_projections_that_turn_with_the_image_agree():
    generator = torch.Generator().manual_seed(0)
    stored = torch.randn(4, 64, 2, generator=generator)
    roll = torch.tensor([0.3, -0.5, 1.0, 0.0, -0.2, 0.4, 0.0, 2.0])
    scale = torch.linspace(0.8, 1.2, 8)
    still = torch.zeros(8, 2)
    projected = torch.stack(
        [turned(stored[i % 4], roll[i].item(), still[i], scale[i].item()) for i in range(8)]
    ).flatten(1)
    with_views = equivariant_nt_xent(projected, roll, still, scale, 0.1)
    without = equivariant_nt_xent(projected, torch.zeros(8), still, torch.ones(8), 0.1)
    assert with_views.item() < 0.1
    assert without.item() > 1


def test_a_shift_is_undone_in_units_of_what_the_points_span():
    corners = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [0.3, -0.2], [-0.4, 0.6]])
    other = corners.flip(1) * torch.tensor([1.0, -1.0])
    shift = torch.tensor([[0.4, -0.2], [0.0, 0.0], [-0.3, 0.5], [0.0, 0.0]])
    projected = torch.stack([p - s for p, s in zip((corners, other) * 2, shift, strict=True)]).flatten(1)
    still = torch.zeros(4)
    right = equivariant_nt_xent(projected, still, shift, torch.ones(4), 0.05)
    wrong = equivariant_nt_xent(projected, still, -shift, torch.ones(4), 0.05)
    assert right.item() < wrong.item()
    assert right.item() < 1e-3
