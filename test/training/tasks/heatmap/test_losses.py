"""Losses of the 2.5D networks: the paper's targets, and no gradient from what is unknown."""

from __future__ import annotations

import math

import pytest
import torch

from hand_pose_ros.networks.heatmap.network import StageOutput
from hand_pose_ros.networks.heatmap.readouts import direct_points
from hand_pose_ros.networks.image.heatmap_head import FIRST_LOG_SIGMA, HeatmapPoints
from hand_pose_ros.training.tasks.heatmap.losses import (
    HeatmapLosses,
    PoseTruth,
    direct_terms,
    gaussian_targets,
    holistic_terms,
    latent_terms,
    spread_term,
)

LOSSES = HeatmapLosses()


def truth(count=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(count, 21, 2, generator=generator) * 1.6 - 0.8
    depth = torch.randn(count, 21, generator=generator)
    return PoseTruth(points, depth, torch.ones(count))


def output(of, points, depth, log_sigma=FIRST_LOG_SIGMA):
    joints = HeatmapPoints(
        points, depth, torch.full_like(depth, log_sigma), torch.zeros(*of.depth.shape, 4, 4) - math.log(16)
    )
    return StageOutput(joints, None)


def test_latent_errors_are_in_pixels_of_128_and_anchor_lengths():
    of = truth()
    shifted = of.points + torch.tensor((3 / 64, -1 / 64))  # three and one pixels
    terms = latent_terms(output(of, shifted, of.depth - 0.5), of, LOSSES)
    assert terms.keys() == {"points", "depth"}
    assert float(terms["points"]) == pytest.approx(4, abs=1e-4)
    assert float(terms["depth"]) == pytest.approx(0.5)


def test_hands_labelled_in_2d_train_the_points_only():
    of = truth(2)
    of.depth[0] = torch.nan
    depth = torch.zeros(2, 21, requires_grad=True)
    points = torch.zeros(2, 21, 2, requires_grad=True)
    terms = latent_terms(output(of, points, depth), of, LOSSES)
    sum(terms.values()).backward()
    assert not depth.grad[0].any()
    assert depth.grad[1].all()
    assert points.grad.all()
    assert float(terms["depth"].detach()) == pytest.approx(float(of.depth[1].abs().mean()))


def test_joints_outside_of_the_crop_train_the_depth_only():
    of = truth(2)
    of.points[0, 5] = torch.tensor((1.2, 0.0))
    of.points[1, 3] = torch.nan
    points = torch.zeros(2, 21, 2, requires_grad=True)
    depth = torch.zeros(2, 21, requires_grad=True)
    sum(latent_terms(output(of, points, depth), of, LOSSES).values()).backward()
    assert points.grad.isfinite().all()
    assert points.grad.abs().sum(-1).eq(0).nonzero().tolist() == [[0, 5], [1, 3]]
    assert depth.grad.all()


def test_targets_are_gaussians_of_eq_10():
    of = truth(1)
    targets = gaussian_targets(of.points, 128, 128, 5.0)
    x, y = (float(v) for v in (of.points[0, 7] + 1) * 64 - 0.5)
    for row, column in ((60, 64), (round(y), round(x)), (20, 100)):
        expected = math.exp(-((row - y) ** 2 + (column - x) ** 2) / 25)
        assert float(targets[0, 7, row, column]) == pytest.approx(expected, rel=1e-3, abs=1e-7)
    half = gaussian_targets(of.points, 64, 64, 5.0)  # sigma is in pixels of 128, whatever the map's size
    assert float(half[0, 7].sum() * 4) == pytest.approx(float(targets[0, 7].sum()), rel=1e-2)


def test_perfect_direct_maps_cost_nothing_and_give_the_pose():
    of = truth(2)
    heat = gaussian_targets(of.points, 128, 128, 5.0)
    maps = torch.cat((heat, heat * of.depth[..., None, None], torch.zeros_like(heat)), dim=1)
    joints = direct_points(maps)
    terms = direct_terms(StageOutput(joints, maps), of, LOSSES)
    assert all(float(term) == pytest.approx(0, abs=1e-6) for term in terms.values())
    assert (joints.points - of.points).abs().max() <= 1 / 128 + 1e-6  # half a pixel
    torch.testing.assert_close(joints.depth, of.depth, rtol=0.03, atol=0.0)
    worse = direct_terms(StageOutput(joints, maps * 0.5), of, LOSSES)
    assert float(worse["points"]) == pytest.approx(math.pi * 25 / 2 / 4, rel=0.02)


def test_holistic_errors_are_in_standard_deviations():
    of = truth()
    deviation = torch.full((21, 3), 0.25)
    terms = holistic_terms(output(of, of.points + 0.5, of.depth + 1.0), of, deviation)
    assert float(terms["points"]) == pytest.approx(4, abs=1e-4)  # two for x and two for y
    assert float(terms["depth"]) == pytest.approx(4)


def test_the_best_sigma_is_the_mean_absolute_error():
    of = truth(400)
    error = 0.1 * torch.randn(400, 21, 2, generator=torch.Generator().manual_seed(1)).abs()
    costs = {
        sigma: float(spread_term(output(of, of.points + error, of.depth, math.log(sigma)).joints, of))
        for sigma in (0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.12)
    }
    assert min(costs, key=costs.__getitem__) == 0.08  # 0.1 sqrt(2 / pi)


def test_bad_weights_are_refused():
    for values in ({"depth": -1.0}, {"sigma_px": 0.0}):
        with pytest.raises(ValueError, match="must not be negative"):
            HeatmapLosses(**values)
