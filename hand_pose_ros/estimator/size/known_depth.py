"""Compares an estimated hand with known depths: by which factor it and its distance must grow.

One camera sees a hand twice as large and twice as far away in the same pixels. So an estimated hand is right up to
one factor, and every known depth on it tells that factor: the known depth divided by the estimated one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.mesh.skinning import hand_mesh, vertex_normals
from hand_pose_ros.mesh.template import SHIPPED_NAME, load_template
from hand_pose_ros.pose import HandPose

_FACING: Final = (
    0.5  # least cosine between a vertex' normal and its ray, to take the surface there as measured
)
_LEAST_VERTICES: Final = 40
_AGREEING: Final = 0.12  # of the median: depths beyond are of another thing, or of the background
_LEAST_AGREEING: Final = 0.6
_SENSOR: Final = 0.01  # systematic error of a depth camera, as a share of the depth


class SizeRatio(NamedTuple):
    """By which factor an estimated hand and its distance must grow.

    value: the factor. spread: standard deviation of what repeats from frame to frame, as a share of the factor.
    """

    value: float
    spread: float


def ratio_from_depth(pose: HandPose, camera: CameraModel, depth_m: np.ndarray) -> SizeRatio | None:
    """Compare the palm's surface with a depth image; None if it shows something else where the palm is.

    Args:
        pose: a valid hand, camera frame. depth_m: (H, W) of ``camera``'s image, metres, NaN where not known.
    """
    if pose.mesh is not None and pose.mesh.template != SHIPPED_NAME:
        pose = replace(pose, mesh=None)  # the palm's vertices are known of our template
    vertices = torch.from_numpy(hand_mesh(pose).vertices_m).double()
    normals = vertex_normals(vertices, pose.side).numpy()
    rays = vertices / vertices.norm(dim=-1, keepdim=True)
    facing = -(normals * rays.numpy()).sum(-1) > _FACING
    palm = np.isin(load_template().bones.numpy(), hand.LEVELS[0][1:])
    pixels = camera.project(vertices).numpy().round()
    height, width = depth_m.shape
    inside = ((pixels >= 0) & (pixels <= (width - 1, height - 1))).all(-1)
    taken = np.flatnonzero(facing & palm & inside)
    columns, rows = pixels[taken].astype(int).T
    ratios = depth_m[rows, columns] / vertices[taken, 2].numpy()
    ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
    if len(ratios) < _LEAST_VERTICES:
        return None
    middle = float(np.median(ratios))
    agreeing = np.abs(ratios / middle - 1) < _AGREEING
    if agreeing.mean() < _LEAST_AGREEING:
        return None
    return SizeRatio(float(np.median(ratios[agreeing])), _SENSOR)


def open_hand(pose: HandPose, most_rad: float = 0.8) -> bool:
    """Whether the four fingers are about straight: their MCPs and PIPs flex less in the mean."""
    names = [f"{finger}_{joint}_flexion" for finger in hand.FINGERS[1:] for joint in ("mcp", "pip")]
    flexion = pose.angles_rad[[hand.ANGLE_INDEX[name] for name in names]]
    return bool(np.mean(flexion) < most_rad)


def placement_spread(pose: HandPose, size_spread: float) -> float:
    """Standard deviation of the wrist's distance, as a share, besides that of the size; NaN if not known.

    Args:
        size_spread: of the size in use, as a share, which the covariance contains.
    """
    wrist = pose.joints_m[hand.WRIST]
    distance = np.linalg.norm(wrist)
    along = wrist / distance
    variance = float(along @ pose.covariance_m2[hand.WRIST] @ along) / distance**2
    return float(np.sqrt(max(variance - size_spread**2, 0.0))) if np.isfinite(variance) else float("nan")
