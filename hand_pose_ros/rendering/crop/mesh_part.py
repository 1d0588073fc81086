"""One textured surface of a picture: what the fast renderer of training crops draws."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse


class Texture(NamedTuple):
    """image: (h, w, 3) float32 linear RGB. corners: (3, 2, F) float32, x and y of each triangle's three corners
    in texels, the first texel's middle at 0.5; beyond the picture it repeats.
    """

    image: np.ndarray
    corners: np.ndarray


@dataclass(frozen=True)
class MeshPart:
    """A closed surface in the camera's frame (optical, metres).

    vertices, normals: (V, 3) float32. faces: (F, 3), counter-clockwise seen from outside.
    texture: its colour, times ``tint`` (3,). gloss: strength of the highlight. label: what the label map shows.
    smoothing: (V, V) by which light is spread under the skin; None for what is no skin.
    """

    vertices: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    texture: Texture
    label: int
    tint: np.ndarray
    gloss: float = 1.0
    smoothing: scipy.sparse.csr_matrix | None = None


def face_incidence(num_vertices: int, faces: np.ndarray) -> scipy.sparse.csr_matrix:
    """(V, F) float32, 1 where a vertex is a corner of a triangle."""
    columns = np.repeat(np.arange(len(faces)), 3)
    ones = np.ones(len(columns), dtype=np.float32)
    return scipy.sparse.csr_matrix((ones, (faces.ravel(), columns)), shape=(num_vertices, len(faces)))


def vertex_normals(vertices: np.ndarray, faces: np.ndarray, incidence: scipy.sparse.csr_matrix) -> np.ndarray:
    """Area-weighted unit normals (V, 3) float32 of a surface."""
    x, y, z = (vertices[:, axis][faces.T] for axis in range(3))
    ax, ay, az = x[1] - x[0], y[1] - y[0], z[1] - z[0]
    bx, by, bz = x[2] - x[0], y[2] - y[0], z[2] - z[0]
    flat = np.stack((ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx), axis=1)
    return unit(incidence @ flat)


def frame_along(axis: np.ndarray, towards: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) whose columns are ``axis`` (3,) normalised, across it and ``towards`` (3,), and their
    cross product. In plain numbers: numpy's overhead for three of them is a hundred times the work.
    """
    ax, ay, az = (float(v) for v in axis)
    tx, ty, tz = (float(v) for v in towards)
    length = math.sqrt(ax * ax + ay * ay + az * az)
    ax, ay, az = ax / length, ay / length, az / length
    bx, by, bz = ay * tz - az * ty, az * tx - ax * tz, ax * ty - ay * tx
    length = math.sqrt(bx * bx + by * by + bz * bz)
    bx, by, bz = bx / length, by / length, bz / length
    cx, cy, cz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    return np.array(((ax, bx, cx), (ay, by, cy), (az, bz, cz)))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., n, 3) of length one."""
    length = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))[..., None]
    return vectors / np.maximum(length, np.float32(1e-12))
