"""Warps of images to another camera at the same position: undistortion and crops, by one exact sampling map."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from torch import Tensor

from hand_pose_ros.camera.distortion import EQUIDISTANT, max_radius
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.common.shapes import Array

SamplingMap = tuple[Array, Array]
"""Column and row to sample for each pixel of the result: two (height, width) float32 arrays, as for cv2.remap."""

_OUTSIDE_PX = -10.0  # far enough outside for cv2.remap to blend nothing of the image in


def sampling_map(
    source: CameraModel, target: CameraModel, R_source_target: Tensor | None = None
) -> SamplingMap:
    """The point of ``source``'s image that each pixel of ``target`` shows, for cameras at the same position.

    ``R_source_target`` (3, 3) maps directions of the target's frame into the source's; identity if None. Rays
    outside the source's view are sampled outside its image. A map depends only on the
    cameras: keep it for a video.
    """
    if R_source_target is None:
        R_source_target = torch.eye(3, dtype=torch.float64)
    compute = _map_by_opencv if _sees_all_of(source, target, R_source_target) else map_by_projection
    return compute(source, target, R_source_target)


def map_by_projection(source: CameraModel, target: CameraModel, R_source_target: Tensor) -> SamplingMap:
    """:func:`sampling_map` by projecting every ray: slower than OpenCV, but exact beyond the source's view."""
    grid = torch.meshgrid(torch.arange(target.width), torch.arange(target.height), indexing="xy")
    rays = target.rays(torch.stack(grid, dim=-1).to(torch.float64))
    pixels = source.project(rays @ R_source_target.to(rays).T).float()
    columns, rows = torch.nan_to_num(pixels, nan=_OUTSIDE_PX).numpy().transpose(2, 0, 1)
    return np.ascontiguousarray(columns), np.ascontiguousarray(rows)


def sample(image: Array, pixels: SamplingMap) -> Array:
    """The image sampled bilinearly where a sampling map says; black where it ends."""
    columns, rows = pixels
    return cv2.remap(image, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(0,))


def undistortion_map(camera: CameraModel) -> SamplingMap:
    """The sampling map that turns this camera's images into those of ``camera.without_distortion()``."""
    return sampling_map(camera, camera.without_distortion())


def check_image(image: Array, camera: CameraModel) -> None:
    """Raise ValueError unless the image (height, width[, channels]) has the camera's size."""
    if image.ndim not in (2, 3) or image.shape[:2] != (camera.height, camera.width):
        raise ValueError(
            f"image must be {camera.height} rows by {camera.width} columns, as the camera's calibration, "
            f"got shape {image.shape}"
        )


def _sees_all_of(source: CameraModel, target: CameraModel, R_source_target: Tensor) -> bool:
    """Whether everything that ``target`` sees is in front of ``source``, and inside its lens' fold.

    Those directions form a convex cone, so for a target without distortion its four corners decide.
    """
    if target.distortion_model:
        return False
    corners = torch.cartesian_prod(
        torch.tensor((-0.5, target.width - 0.5), dtype=torch.float64),
        torch.tensor((-0.5, target.height - 0.5), dtype=torch.float64),
    )
    rays = target.rays(corners) @ R_source_target.to(torch.float64).T
    radius = max_radius(source.distortion_model, source.distortion)
    limit = radius if math.isfinite(radius) else 1e6
    return bool((rays[:, :2].norm(dim=-1) < limit * rays[:, 2]).all())


def _map_by_opencv(source: CameraModel, target: CameraModel, R_source_target: Tensor) -> SamplingMap:
    fisheye = source.distortion_model == EQUIDISTANT
    return (cv2.fisheye if fisheye else cv2).initUndistortRectifyMap(
        source.K.numpy(),
        np.array(source.distortion or np.zeros(5)),
        R_source_target.T.to(torch.float64).numpy(),
        target.K.numpy(),
        (target.width, target.height),
        cv2.CV_32FC1,
    )
