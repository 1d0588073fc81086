"""The likelihood under heatmaps: a density, the bilinear one, that prefers the hypothesis which the maps show."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import grid_sample

from hand_pose_ros import hand
from hand_pose_ros.networks.image.heat_likelihood import heat_log_likelihood
from hand_pose_ros.networks.image.heatmap_head import pixel_grid


def random_maps(count, joints, height, width, seed=0):
    """Logarithms of maps that sum to 1."""
    generator = torch.Generator().manual_seed(seed)
    raw = 2 * torch.randn(count, joints, height * width, generator=generator, dtype=torch.float64)
    return raw.log_softmax(-1).unflatten(-1, (height, width))


def random_points(*shape, seed=1, most=1.0):
    generator = torch.Generator().manual_seed(seed)
    return most * (2 * torch.rand(*shape, 2, generator=generator, dtype=torch.float64) - 1)


def test_it_is_the_bilinear_interpolation_of_the_maps():
    maps, points = random_maps(2, 5, 6, 9), random_points(2, 4, 5)
    density = grid_sample(
        maps.exp(), points.transpose(1, 2), "bilinear", padding_mode="border", align_corners=False
    )
    of_own_map = torch.stack([density[:, joint, joint] for joint in range(5)])
    torch.testing.assert_close(heat_log_likelihood(maps, points), (of_own_map * 6 * 9 / 4).log().sum(0))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5), (7, 4)])
def test_it_is_a_density_over_the_crop(height, width):
    maps = random_maps(1, 1, height, width)
    fine = pixel_grid(40 * height, 40 * width, maps)  # 40 points a pixel: the midpoint rule is nearly exact
    density = heat_log_likelihood(maps, fine[None, :, None]).exp()
    assert float(density.mean() * 4) == pytest.approx(1, abs=1e-9)


def test_the_hypothesis_that_the_maps_show_is_the_likeliest():
    """Maps of normal distributions: the likelihood ratio of two hypotheses is that of the distributions."""
    truth, sigma = random_points(1, 1, hand.NUM_JOINTS, most=0.5), 0.1
    grid = pixel_grid(64, 64, truth)
    squared = (grid - truth[0, 0, :, None]).square().sum(-1)
    maps = (-squared / (2 * sigma**2)).log_softmax(-1).unflatten(-1, (64, 64))[None]
    offsets = torch.tensor((0.0, 0.05, 0.1, 0.2), dtype=torch.float64)
    hypotheses = truth.expand(1, 4, -1, -1) + offsets[:, None, None] * torch.tensor((1.0, 0.0))
    found = heat_log_likelihood(maps, hypotheses)[0]
    expected = -hand.NUM_JOINTS * offsets.square() / (2 * sigma**2)
    torch.testing.assert_close(found - found[0], expected, rtol=0.03, atol=0.3)
    coarse = heat_log_likelihood(maps.exp().unfold(2, 2, 2).unfold(3, 2, 2).sum((-2, -1)).log(), hypotheses)
    torch.testing.assert_close(coarse[0], found, rtol=0.03, atol=0.5)  # of half the size, it compares


def test_beyond_the_crop_a_joint_counts_with_the_least_of_its_map():
    maps, points = random_maps(1, 3, 8, 8), random_points(1, 2, 3)
    points[0, 1] = points[0, 0]
    points[0, 1, 2] = torch.tensor((1.001, 0.0))
    inside, outside = heat_log_likelihood(maps, points)[0]
    alone = heat_log_likelihood(maps[:, 2:], points[:, :1, 2:])[0, 0]
    least = maps[0, 2].min() + math.log(8 * 8 / 4)
    torch.testing.assert_close(outside, inside - alone + least)
    assert bool(outside.isfinite())


def test_nan_stays_where_it_is_and_nothing_else_suffers():
    maps, points = random_maps(2, 3, 8, 8), random_points(2, 3, 3, most=0.5)
    expected = heat_log_likelihood(maps, points)
    points[0, 1, 2, 0] = torch.nan
    points[0, 2, 0, 1] = torch.inf
    maps[1, 1] = torch.nan
    found = heat_log_likelihood(maps, points)
    torch.testing.assert_close(found[0, 0], expected[0, 0])
    assert found.isnan().tolist() == [[False, True, True], [True] * 3]


def test_it_is_differentiable():
    maps, points = random_maps(1, 2, 5, 6).requires_grad_(), random_points(1, 3, 2, most=0.9)
    assert torch.autograd.gradcheck(heat_log_likelihood, (maps, points.requires_grad_()))
    centre = pixel_grid(5, 6, maps)[7].detach().expand(1, 1, 2, 2).clone()  # three of four weights are zero
    for gradient in torch.autograd.grad(heat_log_likelihood(maps, centre).sum(), maps):
        assert bool(gradient.isfinite().all())


@pytest.mark.parametrize(
    ("maps", "points", "message"),
    [
        ((1, 3, 4, 4), (1, 3, 2), "points must have shape"),
        ((1, 3, 4, 4), (1, 2, 4, 2), r"log_heat must have shape \(1, 4, h, w\)"),
        ((2, 3, 4, 4), (1, 2, 3, 2), "log_heat must have"),
        ((1, 3, 0, 0), (1, 2, 3, 2), "with h, w > 0"),
    ],
)
def test_wrong_shapes_are_refused(maps, points, message):
    with pytest.raises(ValueError, match=message):
        heat_log_likelihood(torch.zeros(maps), torch.zeros(points))
