"""Stored hand images of a smooth function of the direction, so that any view of them can be made exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from hand_pose_ros.camera.keypoint_view import view_keypoints
from hand_pose_ros.hand_images.shards import (
    STORED_MARGIN,
    STORED_SIZE_PX,
    HandImages,
    empty_hand_images,
    load_shard,
    pixels_to_view,
    shard_folders,
    shard_info,
)
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.synthetic.poses.sampler import PoseSampler
from hand_pose_ros.synthetic.views import random_views


def assert_same_shards(one: Path, other: Path) -> None:
    """Both folders hold the same shards, bit for bit."""
    assert [shard.name for shard in shard_folders(one)] == [shard.name for shard in shard_folders(other)]
    for first, second in zip(shard_folders(one), shard_folders(other), strict=True):
        assert shard_info(first) == shard_info(second)
        for name, a, b in zip(HandImages._fields, load_shard(first), load_shard(second), strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)


def sky(rays: np.ndarray, half_extent: float) -> np.ndarray:
    """Colours (..., 3) in 0 to 255 seen along rays (..., 3): waves of a few tenths of the hand's size."""
    directions = rays / np.linalg.norm(rays, axis=-1, keepdims=True) / half_extent
    waves = np.array(((4.0, 1.0, 0.3), (-1.5, 3.5, 0.5), (2.5, -3.0, 0.2)))
    return 127.5 + 90 * np.sin(directions @ waves.T + np.array((0.3, 1.1, 2.0)))


def view_of_sky(
    half_extent: float, sky_extent: float, R_view_sky: np.ndarray, size_px: int, margin: float
) -> np.ndarray:
    """The image (size, size, 3) uint8 that a view takes of it, pixel by pixel."""
    x, y = np.meshgrid(np.arange(size_px), np.arange(size_px))
    points = pixels_to_view(np.stack((x, y), -1).astype(float), size_px, margin) * half_extent
    rays = np.concatenate((points, np.ones_like(points[..., :1])), axis=-1)
    return sky(rays @ R_view_sky, sky_extent).round().astype(np.uint8)


def stored_hands(count: int, seed: int = 0) -> HandImages:
    """Random right hands with exact labels before :func:`sky`."""
    generator = torch.Generator().manual_seed(seed)
    angles, proportions = PoseSampler().sample(count, generator)
    placed = random_views(forward_kinematics(angles, proportions).joints, generator)
    joints = forward_kinematics(angles, proportions, placed.rotation).joints
    wrist = placed.wrist_m / placed.anchor_length_m[:, None]
    view = view_keypoints(joints + wrist[:, None])
    hands = empty_hand_images(count)
    turn = view.rotation.transpose(-1, -2)
    values = {
        "points": view.points,
        "half_extent": view.half_extent,
        "joints": joints @ turn,
        "depth": (joints @ turn)[..., 2],
        "wrist": (wrist[:, None] @ turn)[:, 0],
        "angles": angles,
        "proportions": proportions,
        "rotation": view.rotation @ placed.rotation,
    }
    for name, value in values.items():
        getattr(hands, name)[:] = value.numpy()
    hands.visible[:] = hands.inside[:] = True
    hands.sigma[:] = 0
    for row, extent in enumerate(hands.half_extent.tolist()):
        hands.image[row] = view_of_sky(extent, extent, np.eye(3), STORED_SIZE_PX, STORED_MARGIN)
    return hands
