"""The stored order is that of farthest point sampling, and levels are nested."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hand_pose_ros.mesh.farthest_points import farthest_order, level_sizes, save_order, template_order
from hand_pose_ros.mesh.template import load_template


def slow_order(points):
    """By the definition, all distances at once."""
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    order = [int(np.linalg.norm(points - points.mean(0), axis=1).argmax())]
    while len(order) < len(points):
        others = [one for one in range(len(points)) if one not in order]
        order.append(max(others, key=lambda one: (distances[one, order].min(), -one)))
    return order


def test_the_order_is_that_of_the_definition():
    points = np.random.default_rng(0).normal(size=(60, 3))
    assert farthest_order(points).tolist() == slow_order(points)
    twice = np.concatenate((points[:5], points[:5]))
    assert sorted(farthest_order(twice).tolist()) == list(range(10))


def test_the_stored_order_is_reproduced(tmp_path):
    order = farthest_order(load_template().vertices.numpy())
    np.testing.assert_array_equal(template_order(), order)
    save_order(load_template().vertices.numpy(), tmp_path / "order.npz")
    np.testing.assert_array_equal(np.load(tmp_path / "order.npz")["order"], order)


def test_every_level_covers_the_hand_evenly():
    vertices = load_template().vertices.numpy()
    order = template_order()
    for size in (64, 128, 256):
        kept = vertices[order[:size]]
        reach = np.linalg.norm(vertices[:, None] - kept[None], axis=-1).min(1).max()
        apart = np.linalg.norm(kept[:, None] - kept[None], axis=-1) + np.eye(size)
        assert reach <= apart.min()


def test_another_template_has_its_own_order():
    shipped = load_template()
    other = replace(shipped, name="other", vertices=shipped.vertices[:50] * torch.tensor([1.0, 3.0, 1.0]))
    assert template_order(other).tolist() == slow_order(other.vertices.numpy())


def test_levels_have_one_rate():
    assert level_sizes(256, 2.0, 3) == (256, 128, 64, 32)
    assert level_sizes(778, 4.0, 2) == (778, 194, 49)
    assert level_sizes(256, 2.0, 0) == (256,)
    for arguments in ((256, 1.0, 2), (256, 2.0, -1), (256, 2.0, 9)):
        with pytest.raises(ValueError, match="rate"):
            level_sizes(*arguments)


@pytest.mark.parametrize("points", [np.zeros((0, 3)), np.zeros((4, 2)), np.full((3, 3), np.nan)])
def test_bad_vertices_are_refused(points):
    with pytest.raises(ValueError, match="vertices must"):
        farthest_order(points)
