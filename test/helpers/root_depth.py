"""Random cameras that look at random hands, with all that the root solvers take and should return."""

from __future__ import annotations

from typing import NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.kinematics.forward import forward_kinematics
from helpers.hands import random_hands

LENSES = (
    ("", ()),
    ("plumb_bob", (-0.25, 0.08, 0.001, -0.001, -0.01)),
    ("rational_polynomial", (0.3, 0.02, 0.0005, -0.0003, 0.001, 0.6, 0.1, 0.005)),
    ("equidistant", (-0.012, 0.011, -0.002, 0.0004)),
)
NEAREST_M = 0.02  # no joint of a test's hand is nearer to the camera than this


class Scene(NamedTuple):
    """One camera and a batch of hands.

    root: (B, 3) wrist, metres; joints: (B, 21, 3) relative to it, scale-normalised; scale: (B) metres.
    pixels: (B, 21, 2) in the camera's distorted image; points: the same, normalised.
    """

    camera: CameraModel
    root: Tensor
    joints: Tensor
    proportions: Tensor
    scale: Tensor
    pixels: Tensor
    points: Tensor

    @property
    def relative_depths(self) -> Tensor:
        return self.joints[..., 2]

    @property
    def normalised_root(self) -> Tensor:
        return self.root / self.scale[:, None]

    def select(self, chosen: Tensor) -> Scene:
        return Scene(self.camera, *(value[chosen] for value in self[1:]))


def make_scene(
    count: int, seed: int, camera: CameraModel | None = None, depth_m: float | None = None
) -> Scene:
    """Random in-limit hands at ``depth_m``, or 0.15 to 3 m, up to 25 degrees off the axis; all joints in front."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)

    camera = camera or CameraModel.pinhole(600.0, 600.0, 320.0, 240.0, 640, 480)
    hands = random_hands(count, seed)
    joints = forward_kinematics(hands.angles, hands.proportions, hands.root_rotation).joints
    depth = (
        uniform(0.15, 3.0, count) if depth_m is None else torch.full((count,), depth_m, dtype=torch.float64)
    )
    root = torch.cat((uniform(-0.33, 0.33, count, 2), torch.ones(count, 1, dtype=torch.float64)), dim=-1)
    root = root * depth[:, None]
    joints_m = joints * hands.anchor_length[:, None, None] + root[:, None]
    pixels = camera.project(joints_m)
    scene = Scene(
        camera, root, joints, hands.proportions, hands.anchor_length, pixels, camera.normalise(pixels)
    )
    seen = scene.points.isfinite().flatten(1).all(-1)  # not so far off the axis that the lens folds
    return scene.select(seen & (joints_m[..., 2].amin(-1) > NEAREST_M))


@st.composite
def scenes(draw: st.DrawFn, count: int = 8) -> Scene:
    """Scenes with random intrinsics and lens, of up to ``count`` hands."""
    focal = draw(st.floats(200.0, 2000.0))
    camera = CameraModel.from_matrix(
        1280,
        960,
        (focal, 0, draw(st.floats(300.0, 900.0)), 0, focal * draw(st.floats(0.8, 1.25)), 480.0, 0, 0, 1),
        *draw(st.sampled_from(LENSES)),
    )
    return make_scene(count, draw(st.integers(0, 2**31)), camera)
