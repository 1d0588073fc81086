"""The module reads the depth condition of the mesh network from a frame's depth image."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros.estimator.mesh_diffusion.reading import ReadHand
from hand_pose_ros.networks.mesh_diffusion.conditions import depth_condition
from hand_pose_ros.pose import Detection, Frame

_BEHIND: Final = 1.2  # anchor lengths from the landmarks' median depth: beyond is something else
_BESIDE: Final = 0.35  # half sides of the crop from the nearest landmark, likewise
_LEAST_KNOWN: Final = 0.02  # of the crop's pixels


def read_depth(
    frame: Frame, detection: Detection, read: ReadHand, size_px: int, size_m: float
) -> Tensor | None:
    """Return the image (1, 2, size_px, size_px) of the depth condition of one hand; None if too little is known.

    The crop's pixels take the nearest pixel of the depth image. Those that are far from all landmarks, or from
    their depth, belong to something else and count as unknown.

    Args:
        frame: with its depth. read: of this hand. size_m: length of the bone wrist -> index MCP, or a guess of it.
    """
    depth_m = frame.depth_m
    if depth_m is None or detection.landmarks_px is None:
        return None
    mirror = read.turn.new_tensor((1.0 if detection.side == "right" else -1.0, 1.0, 1.0))
    to_crop = (
        read.turn[0].mT @ read.view.rotation[0].double()
    )  # from the camera's axes, mirrored for a left hand
    places = (torch.arange(size_px, dtype=torch.float64) + 0.5) * (2 / size_px) - 1
    down, across = torch.meshgrid(places, places, indexing="ij")
    grid = torch.stack((across, down), -1)
    rays = torch.cat((grid * read.half_extent[0], torch.ones_like(across)[..., None]), -1) @ to_crop * mirror
    points = torch.full_like(rays, torch.nan)
    pixels = frame.camera.project(rays.flatten(0, 1)).reshape(size_px, size_px, 2).numpy()
    height, width = depth_m.shape
    inside = ((pixels > -0.5) & (pixels < (width - 0.5, height - 0.5))).all(-1) & (rays[..., 2].numpy() > 0)
    columns, rows = np.rint(pixels[inside]).astype(int).T
    seen = torch.from_numpy(np.asarray(depth_m[rows, columns], np.float64))
    found = rays[torch.from_numpy(inside)]
    points[torch.from_numpy(inside)] = found * (seen / found[:, 2])[:, None]
    depth = ((points * mirror) @ to_crop.mT)[..., 2] / size_m  # along the crop's axis
    distance = (grid[:, :, None] - _landmarks(read)).norm(dim=-1)
    near = distance.amin(-1) < _BESIDE
    at_landmarks = depth.flatten()[distance.flatten(0, 1).argmin(0)]
    middle = at_landmarks[at_landmarks.isfinite()]
    if not len(middle):
        return None
    of_hand = near & ((depth - middle.median()).abs() < _BEHIND)
    if float(of_hand.double().mean()) < _LEAST_KNOWN:
        return None
    return depth_condition(torch.where(of_hand, depth, torch.full_like(depth, torch.nan)).float()[None])


def _landmarks(read: ReadHand) -> Tensor:
    """Return the landmarks (21, 2) in half sides of the crop."""
    points = read.view.points[0].double() * read.view.half_extent[0].double()
    rays = torch.cat((points, torch.ones_like(points[:, :1])), -1) @ read.turn[0]
    return rays[:, :2] / rays[:, 2:] / read.half_extent[0]
