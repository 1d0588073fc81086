"""The depth condition read from a camera's depth image is that of the true mesh, on both sides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.frames import blank_frame
from helpers.heatmap import CAMERA, SIZE_M
from helpers.mesh_estimator import PerfectMesh, known_meshes, seen_hand

from hand_pose_ros import hand
from hand_pose_ros.estimator.mesh_diffusion.depth_reading import read_depth
from hand_pose_ros.estimator.mesh_diffusion.estimator import MeshDiffusionEstimator
from hand_pose_ros.estimator.mesh_diffusion.reading import read_hand
from hand_pose_ros.mesh.skinning import mesh_faces
from hand_pose_ros.networks.mesh_diffusion.conditions import depth_condition
from hand_pose_ros.networks.mesh_diffusion.config import MeshDiffusionConfig
from hand_pose_ros.rendering.crop.hand_depth import hand_depths
from hand_pose_ros.rendering.crop.rasteriser import depth_map

SIZE_PX = 56


def frame_with_depth(vertices, side, behind_m=np.nan):
    """The hand before a wall, which may be unknown."""
    pixels = CAMERA.project(vertices).numpy().astype(np.float32)
    depth = vertices[:, 2].numpy().astype(np.float32)
    first = depth_map(pixels, depth, mesh_faces(side).numpy(), (CAMERA.height, CAMERA.width))
    return replace(blank_frame(CAMERA), depth_m=np.where(np.isfinite(first), first, np.float32(behind_m)))


@pytest.mark.parametrize("side", hand.SIDES)
@pytest.mark.parametrize("behind_m", [np.nan, 2.0])
def test_it_is_that_of_the_true_mesh_in_the_crop(side, behind_m):
    (vertices,) = known_meshes(1, side)
    frame, seen = frame_with_depth(vertices, side, behind_m), seen_hand(CAMERA, vertices, side, 0)
    read = read_hand(frame, seen, MeshDiffusionConfig().encoder)
    (found,) = read_depth(frame, seen, read, SIZE_PX, SIZE_M)
    mirror = torch.tensor((1.0 if side == "right" else -1.0, 1.0, 1.0), dtype=torch.float64)
    in_crop = vertices * mirror @ (read.turn[0].mT @ read.view.rotation[0].double()).mT / SIZE_M
    faces = mesh_faces("right").numpy()
    true = torch.from_numpy(hand_depths(in_crop[None].numpy(), read.half_extent.numpy(), faces, SIZE_PX))
    (expected,) = depth_condition(true)
    both = (found[1] > 0) & (expected[1] > 0)
    assert both.sum() > 0.93 * expected[1].sum()
    assert both.sum() > 0.93 * found[1].sum()
    difference = (found[0] - expected[0])[both]
    assert (difference - difference.median()).abs().median() < 0.02
    assert difference.median().abs() < 0.05


def test_too_little_depth_is_none():
    (vertices,) = known_meshes(1)
    frame, seen = frame_with_depth(vertices, "right"), seen_hand(CAMERA, vertices, "right", 0)
    read = read_hand(frame, seen, MeshDiffusionConfig().encoder)
    unknown = replace(frame, depth_m=np.full_like(frame.depth_m, np.nan))
    assert read_depth(unknown, seen, read, SIZE_PX, SIZE_M) is None
    assert read_depth(replace(frame, depth_m=None), seen, read, SIZE_PX, SIZE_M) is None


@pytest.mark.parametrize("conditions", [(), ("depth",)])
def test_the_estimator_gives_it_to_networks_that_have_it(conditions):
    vertices, given = known_meshes(2), []

    class Noting(PerfectMesh):
        def hypotheses(self, inputs, sign, noise, steps, conditions=None):
            given.append((inputs.mean((1, 2, 3)).tolist(), sorted(conditions or {})))
            return super().hypotheses(inputs, sign, noise, steps)

    config = MeshDiffusionConfig(points=64, width=16, conditions=conditions)
    network = Noting(CAMERA, vertices, ["right"] * 2, config=config)
    seen = [seen_hand(CAMERA, one, "right", number) for number, one in enumerate(vertices)]
    frame = frame_with_depth(vertices[1], "right")  # only the second hand has a depth
    estimate = MeshDiffusionEstimator(network, None, SIZE_M).estimate(frame, seen)
    assert estimate.rows == (0, 1)
    assert given == ([([1.0], ["depth"]), ([0.0], [])] if conditions else [([0.0, 1.0], [])])
