"""Hands drawn by our own renderer, with everything that is true of them: the material of miniature data sets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.mesh.skinning import skin
from hand_pose_ros.rendering.background import room_background
from hand_pose_ros.rendering.geometry import HandInView
from hand_pose_ros.rendering.renderer import render
from hand_pose_ros.rotations import orthogonalise

_EXTENT_M = 0.2
_SHARE = 0.5  # of the image's smaller side that the hand fills
_SIZE_M = 0.085


@dataclass(frozen=True, eq=False)
class TrueHand:
    """One hand of an image: joints (21, 3) m, pixels (21, 2), visible (21,), vertices (V, 3) m, mask (H, W)
    bool.
    """

    side: str
    joints_m: np.ndarray
    points_px: np.ndarray
    visible: np.ndarray
    vertices_m: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True, eq=False)
class TrueImage:
    image: np.ndarray
    camera: CameraModel
    hands: tuple[TrueHand, ...]


@lru_cache(maxsize=64)
def true_image(camera: CameraModel, sides: tuple[str, ...], seed: int) -> TrueImage:
    """One or two half open hands in the middle of the image, the same for the same arguments."""
    focal, height = (camera.fx + camera.fy) / 2, min(camera.width, camera.height)
    depth = focal * _EXTENT_M / (_SHARE * height) * len(sides)
    drawn = []
    for number, side in enumerate(sides):
        offset = 0.0 if len(sides) == 1 else (number - 0.5) * 1.2 * _EXTENT_M
        drawn.append(HandInView(_posed(camera, side, 10 * seed + number, depth, offset), side))
    rendering = render(drawn, camera, room_background(camera.width, camera.height, seed))
    hands = tuple(
        TrueHand(
            side,
            truth.joints_m,
            truth.joints_px,
            truth.visible,
            skin(one.frames, side).double().numpy(),
            rendering.mask == number,
        )
        for number, (side, one, truth) in enumerate(zip(sides, drawn, rendering.hands, strict=True), 1)
    )
    return TrueImage(rendering.image, camera, hands)


def _posed(camera: CameraModel, side: str, seed: int, depth: float, offset: float) -> HandFrames:
    generator = torch.Generator().manual_seed(seed)
    bounds = angle_bounds()
    draws = torch.rand(hand.NUM_ANGLES, generator=generator)
    angles = bounds.neutral + (bounds.maximum - bounds.neutral) * draws * 0.4
    proportions = proportion_bounds().neutral.to(angles)
    # Fingers up (wrist frame x to -y), the palm towards the camera, and a little turned.
    facing = torch.tensor(((0.0, 1.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, 1.0)))
    turn = orthogonalise(torch.eye(3) + 0.25 * torch.randn(3, 3, generator=generator))
    frames = forward_kinematics(angles, proportions, turn @ facing, None, _SIZE_M, side)
    middle = camera.rays(torch.tensor((camera.width / 2, camera.height / 2)))
    shift = middle * depth - frames.joints.mean(0) + torch.tensor((offset, 0.0, 0.0))
    return HandFrames(frames.joints + shift, frames.rotations)
