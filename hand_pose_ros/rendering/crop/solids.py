"""Simple closed solids as meshes: boxes, cylinders, balls and capsules, of which people hold or pass many."""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

import numpy as np

SOLIDS: Final = ("box", "cylinder", "ball", "capsule")
_AROUND = 20
_FACETS = 5  # along each edge of a box: light is computed at vertices
_ALONG = 7
_CAP_RINGS = 5


class Solid(NamedTuple):
    """vertices, normals: (V, 3) float32. faces: (F, 3) int32, counter-clockwise seen from outside.
    uv: (V, 2) in [0, 1].
    """

    vertices: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    uv: np.ndarray


def solid(kind: str, half_size: tuple[float, float, float]) -> Solid:
    """A solid around the origin.

    Args:
        kind: one of ``SOLIDS``.
        half_size: half the extent along x, y and z. Round solids have their axis along x, and y and z are their
            radii; a capsule's ends are half balls with the mean of these radii, inside the extent.

    Raises:
        ValueError: an unknown kind, or a size that is not positive.
    """
    if kind not in SOLIDS:
        raise ValueError(f"kind must be one of {SOLIDS}, got {kind!r}")
    size = np.asarray(half_size, dtype=np.float32)
    if size.shape != (3,) or not (size > 0).all():
        raise ValueError(f"half_size must be three positive numbers, got {half_size}")
    shape = _box() if kind == "box" else _round("ball" if kind == "capsule" else kind)
    vertices = shape.vertices
    if kind == "capsule":
        radius = min(float(size[1:].mean()), float(size[0]))
        straight = np.sign(vertices[:, :1]) * np.array((size[0] - radius, 0, 0), np.float32)
        scale = np.array((radius, size[1], size[2]), np.float32)
        return Solid(vertices * scale + straight, _scaled_normals(shape, scale), shape.faces, shape.uv)
    return Solid(vertices * size, _scaled_normals(shape, size), shape.faces, shape.uv)


def _scaled_normals(shape: Solid, scale: np.ndarray) -> np.ndarray:
    normals = shape.normals / scale
    return (normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32)


@cache
def _box() -> Solid:
    steps = np.linspace(-1, 1, _FACETS + 1)
    a, b = (part.ravel() for part in np.meshgrid(steps, steps, indexing="ij"))
    parts = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            vertices = np.empty((len(a), 3))
            vertices[:, axis] = sign
            vertices[:, (axis + 1) % 3], vertices[:, (axis + 2) % 3] = a, b
            normals = np.zeros_like(vertices)
            normals[:, axis] = sign
            faces = _grid_faces(_FACETS + 1, _FACETS + 1)
            # a x b is the axis itself, so the grid's faces look along it.
            parts.append((vertices, normals, faces if sign > 0 else faces[:, ::-1]))
    count = len(a)
    return Solid(
        np.concatenate([vertices for vertices, _, _ in parts]).astype(np.float32),
        np.concatenate([normals for _, normals, _ in parts]).astype(np.float32),
        np.concatenate([faces + count * number for number, (_, _, faces) in enumerate(parts)]).astype(
            np.int32
        ),
        np.tile(np.stack((a, b), axis=1) / 2 + 0.5, (6, 1)).astype(np.float32),
    )


def _grid_faces(rows: int, columns: int) -> np.ndarray:
    """Faces of a grid of vertices numbered row by row: they look along (rows' direction) x (columns')."""
    number = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]
    first, second = np.stack((a, b, c), axis=-1), np.stack((a, c, d), axis=-1)
    return np.concatenate((first.reshape(-1, 3), second.reshape(-1, 3)))


@cache
def _round(kind: str) -> Solid:
    """A surface of revolution about x, within [-1, 1] along each axis."""
    if kind == "ball":
        angle = np.linspace(0, np.pi, 2 * _CAP_RINGS)  # an even number: no ring is on the equator
        x, radius = -np.cos(angle), np.sin(angle).clip(1e-4)
        slope_x, slope_r = x, radius
    else:
        lid = np.array((1e-4, 0.5, 1.0))
        x = np.concatenate((-np.ones(3), np.linspace(-1, 1, _ALONG), np.ones(3)))
        radius = np.concatenate((lid, np.ones(_ALONG), lid[::-1]))
        slope_x = np.concatenate((-np.ones(3), np.zeros(_ALONG), np.ones(3)))
        slope_r = np.concatenate((np.zeros(3), np.ones(_ALONG), np.zeros(3)))
    turn = np.linspace(0, 2 * np.pi, _AROUND + 1)  # the seam is there twice, for the texture
    cosine, sine = np.cos(turn), np.sin(turn)

    def revolve(along: np.ndarray, across: np.ndarray) -> np.ndarray:
        return np.stack(
            (np.broadcast_to(along[:, None], (len(along), len(turn))), np.outer(across, cosine),
             np.outer(across, sine)), axis=-1,
        ).reshape(-1, 3)  # fmt: skip

    # Along x, then around it: x cross the turn's direction points inwards, so the columns come first.
    faces = _grid_faces(len(x), len(turn))[:, ::-1]
    length = np.concatenate(((0,), np.cumsum(np.hypot(np.diff(x), np.diff(radius)))))
    uv = np.stack(np.broadcast_arrays((length / length[-1])[:, None], turn / (2 * np.pi)), axis=-1)
    return Solid(
        revolve(x, radius).astype(np.float32),
        revolve(slope_x, slope_r).astype(np.float32),
        faces.astype(np.int32),
        uv.reshape(-1, 2).astype(np.float32),
    )
