"""The silhouette of projected triangles: which pixels a surface covers, without depth."""

from __future__ import annotations

import numpy as np


def silhouette(triangles_px: np.ndarray, width: int, height: int) -> np.ndarray:
    """The pixels (height, width) uint8, 255 or 0, whose centres lie in at least one triangle.

    Every edge adds its direction, +1 downwards and -1 upwards, to the pixels on its right. The sum is the winding
    number of the triangles around a pixel; since all turn the same way, nothing cancels where they overlap.

    Args:
        triangles_px: (F, 3, 2), of one orientation, such as the sides of a closed surface that face the camera;
            pixels, with a pixel's centre at integers. Triangles with a corner that is not finite are left out.
    """
    triangles = triangles_px[
        np.isfinite(triangles_px.reshape(-1, 6) @ np.ones(6))
    ]  # the sum, faster than all()
    starts = triangles.reshape(-1, 2)
    ends = np.roll(triangles, -1, axis=1).reshape(-1, 2)
    first, last = (
        np.ceil(bound(starts[:, 1], ends[:, 1])).clip(0, height).astype(np.intp)
        for bound in (np.minimum, np.maximum)
    )
    count = last - first  # rows that an edge crosses; none for a horizontal one
    edge = np.repeat(np.arange(len(count)), count)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count - first, count)
    span = ends - starts
    slope = np.divide(span[:, 0], span[:, 1], out=np.zeros(len(span)), where=count > 0)
    column = np.ceil(starts[edge, 0] + (row - starts[edge, 1]) * slope[edge]).clip(0, width).astype(np.intp)
    turns = np.bincount(row * (width + 1) + column, np.sign(span[edge, 1]), height * (width + 1))
    winding = turns.reshape(height, width + 1)[:, :width].cumsum(axis=1)
    return np.where(np.abs(winding) > 0.5, np.uint8(255), np.uint8(0))
