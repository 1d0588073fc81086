"""A coarse template gives the whole mesh back: exactly for affine motions, closely for posed hands."""

from __future__ import annotations

import pytest
import torch

from hand_pose_ros import hand
from hand_pose_ros.mesh.coarse import coarse_template
from hand_pose_ros.mesh.farthest_points import template_order
from hand_pose_ros.mesh.skinning import pose_mesh
from hand_pose_ros.mesh.template import load_template
from hand_pose_ros.synthetic.poses.sampler import PoseSampler


def posed(count):
    angles, proportions = PoseSampler().sample(count, torch.Generator().manual_seed(3))
    return pose_mesh(angles, proportions, anchor_length=hand.MEAN_ANCHOR_LENGTH_M)


@pytest.mark.parametrize("points", [64, 256, 778])
def test_affine_motions_are_exact(points):
    coarse = coarse_template(points)
    assert coarse.indices.tolist() == template_order()[:points].tolist()
    linear = torch.randn(3, 3, generator=torch.Generator().manual_seed(1))
    moved = load_template().vertices @ linear + torch.tensor([0.1, 0.2, 0.3])
    torch.testing.assert_close(coarse.fill(coarse.keep(moved)), moved, atol=2e-6, rtol=0)
    torch.testing.assert_close(coarse.weights.sum(1), torch.ones(2270), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("points", "mean_mm"), [(256, 0.6), (778, 0.2)])
def test_posed_hands_are_close(points, mean_mm):
    coarse, vertices = coarse_template(points), posed(40)
    filled = coarse.fill(coarse.keep(vertices))
    assert 1e3 * (filled - vertices).norm(dim=-1).mean() < mean_mm
    assert torch.equal(coarse.keep(filled), coarse.keep(vertices))


def test_all_points_are_the_template_itself():
    coarse, vertices = coarse_template(2270), posed(2)
    assert torch.equal(coarse.fill(coarse.keep(vertices)), vertices)


def test_wrong_sizes_are_refused():
    for points in (3, 2271):
        with pytest.raises(ValueError, match=r"points must lie in \[20, 2270\]"):
            coarse_template(points)
    coarse = coarse_template(64)
    with pytest.raises(ValueError, match="vertices must have shape"):
        coarse.keep(torch.zeros(778, 3))
    with pytest.raises(ValueError, match="kept vertices must have shape"):
        coarse.fill(torch.zeros(65, 3))
