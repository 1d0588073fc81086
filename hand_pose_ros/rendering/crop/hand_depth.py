"""Depth images of posed hands over their crops, as a depth camera at the crop's camera would take them."""

from __future__ import annotations

import numpy as np

from hand_pose_ros.rendering.crop.rasteriser import depth_map


def hand_depths(vertices: np.ndarray, half_extent: np.ndarray, faces: np.ndarray, size_px: int) -> np.ndarray:
    """Draw the first surfaces of n right hands; returns (n, size_px, size_px) float32, NaN beside the hand.

    Args:
        vertices: (n, V, 3) from the camera, in the crops' axes, any unit, which is that of the depths.
        half_extent: (n,) tangent of half each crop's angle. faces: (F, 3) of the mesh.
    """
    depths = np.empty((len(vertices), size_px, size_px), np.float32)
    for row, placed in enumerate(vertices.astype(np.float32)):
        in_crop = placed[:, :2] / placed[:, 2:] / half_extent[row]
        pixels = ((in_crop + 1) * (size_px / 2) - 0.5).astype(np.float32)
        first = depth_map(pixels, np.ascontiguousarray(placed[:, 2]), faces, (size_px, size_px))
        depths[row] = np.where(np.isfinite(first), first, np.nan)
    return depths
