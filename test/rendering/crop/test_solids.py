"""Solids are closed, look outwards, and have the extent that was asked for."""

import numpy as np
import pytest

from hand_pose_ros.rendering.crop.solids import SOLIDS, solid

HALF = (0.05, 0.02, 0.03)


@pytest.mark.parametrize("kind", SOLIDS)
def test_extent_and_outward_faces(kind):
    shape = solid(kind, HALF)
    np.testing.assert_allclose(np.abs(shape.vertices).max(axis=0), HALF, rtol=0.05)
    corners = shape.vertices[shape.faces]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    real = np.linalg.norm(flat, axis=1) > 1e-9
    # All these are convex around the origin.
    assert (np.einsum("fi,fi->f", flat, corners.mean(axis=1))[real] > 0).all()
    normals = shape.normals[shape.faces].mean(axis=1)
    assert (np.einsum("fi,fi->f", flat, normals)[real] > 0).all()
    np.testing.assert_allclose(np.linalg.norm(shape.normals, axis=1), 1, rtol=1e-5)
    assert shape.uv.min() >= 0
    assert shape.uv.max() <= 1


@pytest.mark.parametrize(("kind", "volume"), [("box", 8.0), ("cylinder", 2 * np.pi), ("ball", 4 / 3 * np.pi)])
def test_volume(kind, volume):
    shape = solid(kind, HALF)
    corners = shape.vertices[shape.faces].astype(float)
    enclosed = np.einsum("fi,fi->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert enclosed == pytest.approx(volume * np.prod(HALF), rel=0.06)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="kind"):
        solid("cone", HALF)
    with pytest.raises(ValueError, match="half_size"):
        solid("box", (1.0, 0.0, 1.0))
