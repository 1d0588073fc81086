"""Silhouettes of triangles against OpenCV's exact test of each pixel's centre."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from hand_pose_ros.rendering.silhouette import silhouette

WIDTH, HEIGHT = 40, 30


def clockwise(triangles: np.ndarray) -> np.ndarray:
    edges = triangles[:, 1:] - triangles[:, :1]
    turned = np.cross(edges[:, 0], edges[:, 1]) < 0
    triangles = triangles.copy()
    triangles[turned] = triangles[turned][:, ::-1]
    return triangles


def distances(triangle: np.ndarray) -> np.ndarray:
    """Signed distance of each pixel's centre from the triangle's edge, positive inside."""
    contour = triangle.astype(np.float32).reshape(-1, 1, 2)
    rows = range(HEIGHT)
    return np.array([[cv2.pointPolygonTest(contour, (x, y), True) for x in range(WIDTH)] for y in rows])


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("reach", [1.0, 2.5])
def test_the_pixels_whose_centres_a_triangle_covers(seed, reach):
    generator = np.random.default_rng(seed)
    middle = np.array((WIDTH, HEIGHT)) / 2
    triangles = clockwise(middle + generator.uniform(-reach, reach, (5, 3, 2)) * middle)
    found = silhouette(triangles, WIDTH, HEIGHT)
    assert set(np.unique(found)) <= {0, 255}
    inside = np.stack([distances(triangle) for triangle in triangles]).max(axis=0)
    clear = np.abs(inside) > 1e-3
    np.testing.assert_array_equal(found[clear] > 0, inside[clear] > 0)
    np.testing.assert_array_equal(found, silhouette(triangles[:, ::-1], WIDTH, HEIGHT))


def test_neighbours_leave_no_gap_and_overlap_cancels_nothing():
    square = np.array([[(5, 5), (25, 5), (25, 20)], [(5, 5), (25, 20), (5, 20)]], float)
    found = silhouette(np.concatenate((square, square + 3)), WIDTH, HEIGHT) > 0
    assert found[5:20, 5:25].all()
    assert found[8:23, 8:28].all()
    assert found.sum() == 2 * 300 - 12 * 17


def test_corners_that_are_not_finite_and_nothing_at_all():
    triangles = np.array(
        [[(5, 5), (25, 5), (25, 20)], [(0, 0), (np.nan, 5), (9, 9)], [(0, 0), (np.inf, 5), (9, 9)]]
    )
    alone = silhouette(triangles[:1], WIDTH, HEIGHT)
    np.testing.assert_array_equal(silhouette(triangles, WIDTH, HEIGHT), alone)
    assert alone.any()
    assert not silhouette(np.empty((0, 3, 2)), WIDTH, HEIGHT).any()
    assert not silhouette(triangles[:1] + 1000, WIDTH, HEIGHT).any()
    assert silhouette(triangles[:1] * 1e6 - 5e6, WIDTH, HEIGHT).shape == (HEIGHT, WIDTH)
