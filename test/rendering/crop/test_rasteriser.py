"""The rasteriser against rays: the same triangles, depths and weights in the same pixels."""

import numpy as np
import torch

from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.mesh.skinning import pose_mesh
from hand_pose_ros.mesh.template import load_template
from hand_pose_ros.rendering.crop.rasteriser import depth_map, rasterise
from hand_pose_ros.rendering.rays import RayScene
from hand_pose_ros.rendering.views import place, upright_rotation

SHAPE = (120, 150)
FOCAL = 300.0


def posed_hand() -> np.ndarray:
    arguments = angle_bounds().neutral, proportion_bounds().neutral, upright_rotation("palm", 0.4, 0.2, 0.3)
    joints = forward_kinematics(*arguments, None, 0.09).joints
    return (pose_mesh(*arguments, None, 0.09) + place(joints, (0.0, 0.0, 0.5))).numpy()


def project(vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    middle = np.float32((SHAPE[1] / 2 - 0.5, SHAPE[0] / 2 - 0.5))
    pixels = vertices[:, :2] / vertices[:, 2:] * np.float32(FOCAL) + middle
    return pixels.astype(np.float32), np.ascontiguousarray(vertices[:, 2])


def rays() -> np.ndarray:
    row, column = np.divmod(np.arange(SHAPE[0] * SHAPE[1]), SHAPE[1])
    x, y = (column - SHAPE[1] / 2 + 0.5) / FOCAL, (row - SHAPE[0] / 2 + 0.5) / FOCAL
    return np.stack((x, y, np.ones_like(x)), axis=1).astype(np.float32)


def test_sees_what_rays_meet():
    vertices, faces = posed_hand(), load_template().faces.numpy()
    raster = rasterise(*project(vertices), faces, SHAPE)
    hits = RayScene(vertices, faces).first_hits(np.zeros(3, np.float32), rays())
    met = np.flatnonzero(hits.triangle >= 0)
    assert len(raster.pixel) > 1500
    # A ray between two triangles may be counted by one side only.
    assert len(np.setxor1d(met, raster.pixel)) <= 3
    both, of_raster, _ = np.intersect1d(raster.pixel, met, return_indices=True)
    np.testing.assert_allclose(raster.depth[of_raster], hits.distance[both], atol=5e-4)
    same = raster.triangle[of_raster] == hits.triangle[both]
    assert same.mean() > 0.995
    weights = np.stack((hits.u[both], hits.v[both]))[:, same]
    np.testing.assert_allclose(raster.barycentric[1:, of_raster][:, same], weights, atol=5e-3)
    np.testing.assert_allclose(raster.barycentric.sum(axis=0), 1, atol=5e-3)


def test_depth_map_is_the_same_depth():
    pixels, depth = project(posed_hand())
    faces = load_template().faces.numpy()
    raster = rasterise(pixels, depth, faces, SHAPE)
    mapped = depth_map(pixels, depth, faces, SHAPE).ravel()
    np.testing.assert_allclose(mapped[raster.pixel], raster.depth, rtol=1e-6)
    assert np.isinf(np.delete(mapped, raster.pixel)).all()


def test_large_triangles_are_cut_at_the_borders_and_hide_by_depth():
    # Two walls across the whole picture, the second one nearer on the right; counter-clockwise as seen (y down).
    corners = np.float32(((-1000, -1000), (-1000, 1000), (1000, 1000), (1000, -1000)))
    points = np.concatenate((corners, corners))
    depth = np.float32((2, 2, 2, 2, 3, 3, 1.5, 1.5))
    faces = np.array(((0, 1, 2), (0, 2, 3), (4, 5, 6), (4, 6, 7)))
    raster = rasterise(points, depth, faces, (40, 60))
    assert len(raster.pixel) == 40 * 60
    # 1 / z is linear in the picture: the second wall is at 2 where it has gone half of the way from 1/3 to 2/3.
    column = raster.pixel % 60
    share = (column + 1000) / 2000
    second = 1 / (1 / 3 + share * (1 / 1.5 - 1 / 3))
    np.testing.assert_allclose(raster.depth, np.minimum(2, second), rtol=1e-4)
    assert (raster.triangle[second < 1.99] >= 2).all()


def test_backs_and_what_is_behind_the_camera_are_not_drawn():
    points = np.float32(((2, 2), (2, 20), (20, 20)))
    front, behind = np.ones(3, np.float32), np.float32((1, 1, -1))
    face = np.array(((0, 1, 2),))
    assert len(rasterise(points, front, face, (30, 30)).pixel) > 100
    assert len(rasterise(points, front, face[:, ::-1], (30, 30)).pixel) == 0
    assert len(rasterise(points, behind, face, (30, 30)).pixel) == 0
    assert np.isinf(depth_map(points, behind, face, (30, 30))).all()
    assert torch.isfinite(torch.from_numpy(rasterise(points, front, face, (30, 30)).depth)).all()
