"""Triangles to pixels with a depth buffer, in numpy alone, for pictures of many small triangles.

Every triangle is cut into rows of pixels, every row into a span that lies inside by construction, so that no
pixel is looked at in vain. For a hand of a few thousand triangles this is faster than to build a ray tracer's
tree.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_FRAGMENT_BITS = np.uint64(32)
_LEAST_AREA = 1e-5  # of a triangle that is drawn, twice, in square pixels


def at(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """``values[index]`` for indices that are known to be inside: a third of the time goes without the check."""
    return values.take(index, mode="clip")


class Raster(NamedTuple):
    """Visible surface in the N covered pixels of a picture of h x w.

    pixel: (N,) index into the flattened picture, ascending. triangle: (N,) which triangle.
    barycentric: (3, N) weights of its corners, correct in perspective. depth: (N,) z of the point.
    """

    pixel: np.ndarray
    triangle: np.ndarray
    barycentric: np.ndarray
    depth: np.ndarray


def rasterise(points: np.ndarray, depth: np.ndarray, faces: np.ndarray, shape: tuple[int, int]) -> Raster:
    """First surfaces seen through the centres of the pixels.

    Args:
        points: (V, 2) float32 pixels, x right and y down, the first pixel's centre at 0.
        depth: (V,) float32 z; triangles with a corner at z <= 0 are not drawn.
        faces: (F, 3); drawn are those that are counter-clockwise as the picture is looked at: the front of a
            surface whose triangles are counter-clockwise seen from outside.
        shape: height and width.
    """
    fragments = _fragments(points, depth, faces, shape)
    buffer, winner = _nearest(fragments, shape)
    assert winner is not None  # asked for
    covered = np.flatnonzero(buffer != 0)
    winner = at(winner, covered).astype(np.intp)
    row = at(fragments.row, winner)
    chosen = at(fragments.row_face, row)
    across, down, constant = fragments.planes.weights
    px, py = at(fragments.x, winner).astype(np.float32), at(fragments.row_y, row)
    depth = 1 / at(fragments.nearness, winner)
    weights = np.empty((3, len(chosen)), dtype=np.float32)
    for corner in range(3):
        weight = at(across[corner], chosen) * px + at(down[corner], chosen) * py
        np.multiply(weight + at(constant[corner], chosen), depth, out=weights[corner])
    # Rounding leaves a corner's weight a little outside.
    np.maximum(weights, 0, out=weights)
    np.minimum(weights, 1, out=weights)
    return Raster(covered, at(fragments.planes.face, chosen), weights, depth)


def depth_map(points: np.ndarray, depth: np.ndarray, faces: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Depth (h, w) float32 of the first surface through each pixel, infinite where there is none.

    As :func:`rasterise`, with the same arguments.
    """
    buffer, _ = _nearest(_fragments(points, depth, faces, shape), shape, depth_only=True)
    with np.errstate(divide="ignore"):
        return (1 / buffer.view(np.float32)).reshape(shape)


class _Planes(NamedTuple):
    """The triangles that may be seen, and functions of the pixel that are linear on each.

    face: (F,) their numbers. x, y: (3, F) corners. edges: coefficients (x, y, 1), each (3, F), of the
    barycentric weights in the picture. weights: the same of the weights in space divided by z.
    inverse: coefficients (x, y, 1), each (F,), of 1 / z.
    """

    face: np.ndarray
    x: np.ndarray
    y: np.ndarray
    edges: tuple[np.ndarray, np.ndarray, np.ndarray]
    weights: tuple[np.ndarray, np.ndarray, np.ndarray]
    inverse: tuple[np.ndarray, np.ndarray, np.ndarray]


class _Fragments(NamedTuple):
    """Every pixel of every triangle. row_face, row_y: (R,) triangle and y of each row of pixels; row, x,
    pixel, nearness: (N,) of each fragment: its row, x, place in the flattened picture, and 1 / z.
    """

    planes: _Planes
    row_face: np.ndarray
    row_y: np.ndarray
    row: np.ndarray
    x: np.ndarray
    pixel: np.ndarray
    nearness: np.ndarray


def _fragments(
    points: np.ndarray, depth: np.ndarray, faces: np.ndarray, shape: tuple[int, int]
) -> _Fragments:
    planes = _planes(points, depth, faces)
    row_face, row_y, first, count = _spans(planes, shape)
    row = np.repeat(np.arange(len(count)), count)
    start = first - (np.cumsum(count, dtype=np.int32) - count)
    x = np.arange(len(row), dtype=np.int32) + at(start, row)
    slope, down, constant = (at(coefficient, row_face) for coefficient in planes.inverse)
    nearness = at(slope, row) * x.astype(np.float32) + at(down * row_y + constant, row)
    np.maximum(nearness, np.float32(1e-12), out=nearness)
    pixel = at((row_y * shape[1]).astype(np.intp), row) + x
    return _Fragments(planes, row_face, row_y, row, x, pixel, nearness)


def _nearest(
    fragments: _Fragments, shape: tuple[int, int], depth_only: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """Greatest nearness of each pixel as its bits (h w,), 0 where there is none, and the fragment that has it."""
    # Positive floats are ordered as their bits are, so integers will do, which numpy is quick with.
    bits = fragments.nearness.view(np.uint32)
    size = shape[0] * shape[1]
    if depth_only:
        buffer = np.zeros(size, dtype=np.uint32)
        np.maximum.at(buffer, fragments.pixel, bits)
        return buffer, None
    both = np.zeros(size, dtype=np.uint64)
    key = (bits.astype(np.uint64) << _FRAGMENT_BITS) | np.arange(len(bits), dtype=np.uint64)
    np.maximum.at(both, fragments.pixel, key)
    halves = both.view(np.uint32).reshape(-1, 2)
    return halves[:, 1], halves[:, 0]


def _planes(points: np.ndarray, depth: np.ndarray, faces: np.ndarray) -> _Planes:
    corners = np.ascontiguousarray(faces.T)
    x, y, z = at(points[:, 0], corners), at(points[:, 1], corners), at(depth, corners)
    area = (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0])
    face = np.flatnonzero((area < -_LEAST_AREA) & (_least(z) > 0))
    x, y, inverse, area = x.take(face, 1), y.take(face, 1), 1 / z.take(face, 1), at(area, face)
    following, before = [1, 2, 0], [2, 0, 1]
    edge_x = (y[following] - y[before]) / area
    edge_y = (x[before] - x[following]) / area
    # Zero at the corner before, which is more exact than a cross product of two far points.
    edge_0 = -(edge_x * x[before] + edge_y * y[before])
    weights = (edge_x * inverse, edge_y * inverse, edge_0 * inverse)
    sums = tuple(part[0] + part[1] + part[2] for part in weights)
    return _Planes(face, x, y, (edge_x, edge_y, edge_0), weights, sums)


def _spans(planes: _Planes, shape: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Rows of pixels in triangles: triangle (R,), y (R,) float32, first x (R,) and number of pixels (R,) > 0."""
    height, width = shape
    x, y = planes.x, planes.y
    low = np.minimum(np.maximum(np.ceil(_least(y)), 0), height).astype(np.int32)
    high = np.minimum(np.maximum(np.floor(_most(y)), -1), height - 1).astype(np.int32)
    rows = np.maximum(high - low + 1, 0)
    rows[(_most(x) < 0) | (_least(x) > width - 1)] = 0
    face = np.repeat(np.arange(len(rows)), rows)
    start = low - (np.cumsum(rows, dtype=np.int32) - rows)
    row_y = (np.arange(len(face), dtype=np.int32) + start[face]).astype(np.float32)
    left, right = np.float32(0), np.float32(width - 1)
    for slope, edge_y, edge_0 in zip(*planes.edges, strict=True):
        safe = np.where(np.abs(slope) < 1e-9, np.float32(1e-9), slope)
        # The weight is not negative where slope * x + rest >= 0: beyond a crossing, or before one.
        cross_y, cross_0 = -edge_y / safe, -edge_0 / safe
        rising = safe > 0
        zero = np.float32(0)
        from_y, from_0 = np.where(rising, cross_y, zero), np.where(rising, cross_0, zero)
        to_y, to_0 = np.where(rising, zero, cross_y), np.where(rising, np.float32(width), cross_0)
        left = np.maximum(left, at(from_y, face) * row_y + at(from_0, face))
        right = np.minimum(right, at(to_y, face) * row_y + at(to_0, face))
    first = np.ceil(np.minimum(left, width)).astype(np.int32)
    count = np.floor(np.maximum(right, -1)).astype(np.int32) - first + 1
    kept = np.flatnonzero(count > 0)
    return at(face, kept), at(row_y, kept), at(first, kept), at(count, kept)


def _least(corners: np.ndarray) -> np.ndarray:
    return np.minimum(np.minimum(corners[0], corners[1]), corners[2])


def _most(corners: np.ndarray) -> np.ndarray:
    return np.maximum(np.maximum(corners[0], corners[1]), corners[2])
