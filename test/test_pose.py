"""What flows between the rooms refuses what cannot be, and a hand that moves takes its mesh along."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.hand_poses import invalid_pose, random_pose
from helpers.meshes import tetrahedron

MESH = tetrahedron(np.array((0.0, 0.0, 0.5)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"vertices_m": np.zeros((4, 2))}, r"vertices_m must be an array of shape \(4, 3\)"),
        ({"vertices_m": [[0.0, 0.0, 0.0]]}, "vertices_m must be an array"),
        ({"vertices_m": np.zeros((4, 3), int)}, "vertices_m must be of floating numbers"),
        ({"vertices_m": np.full((4, 3), np.nan)}, "vertices_m must be finite"),
        ({"vertices_m": MESH.vertices_m[:3]}, "faces must be indices of the 3 vertices"),
        ({"faces": MESH.faces - 1}, "faces must be indices of the 4 vertices"),
        ({"faces": MESH.faces[:, :2]}, r"faces must be an array of shape \(4, 3\)"),
        ({"faces": MESH.faces.astype(float)}, "faces must be of integer numbers"),
        ({"template": ""}, "must name its template"),
    ],
)
def test_a_mesh_that_cannot_be_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        replace(MESH, **changed)


def test_a_hand_that_moves_takes_its_mesh_along():
    pose, shift = random_pose(), np.array((0.1, -0.2, 0.3))
    moved = replace(pose, mesh=MESH).moved(shift)
    np.testing.assert_array_equal(moved.joints_m, pose.joints_m + shift)
    np.testing.assert_array_equal(moved.mesh.vertices_m, MESH.vertices_m + shift)
    assert pose.moved(shift).mesh is None


def test_an_invalid_hand_has_no_mesh():
    with pytest.raises(ValueError, match="an invalid HandPose has no mesh"):
        replace(invalid_pose(), mesh=MESH)
