"""Rays against triangles, by Embree, which is imported when the first scene is made: some machines lack it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class RendererUnavailableError(ImportError):
    """Embree cannot be imported, so nothing can be rendered; the message says why."""


class Hits(NamedTuple):
    """First hits of N rays; where ``triangle`` is -1 the ray left the scene and the rest is meaningless.

    distance is in units of the ray's direction: the depth, for directions with z = 1.
    u, v: barycentric weights of the triangle's second and third corner.
    """

    triangle: np.ndarray
    distance: np.ndarray
    u: np.ndarray
    v: np.ndarray


class RayScene:
    """Triangles (F, 3) over vertices (V, 3), in any unit."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        """Build the scene. Raises :class:`RendererUnavailableError` where Embree is missing."""
        try:
            from embreex.mesh_construction import TriangleMesh
            from embreex.rtcore_scene import EmbreeScene
        except ImportError as error:
            raise RendererUnavailableError(
                f"rendering needs embreex ({error}), which has no wheels for Linux on arm64"
            ) from error
        self._scene = EmbreeScene()
        TriangleMesh(self._scene, _float32(vertices), np.ascontiguousarray(faces, dtype=np.int32))

    def first_hits(self, origins: np.ndarray, directions: np.ndarray) -> Hits:
        """Where rays from origins (N, 3), or one origin (3,), along directions (N, 3) first meet a triangle."""
        origins = np.broadcast_to(origins, directions.shape)
        found = self._scene.run(_float32(origins), _float32(directions), query="INTERSECT", output=True)
        return Hits(found["primID"], found["tfar"], found["u"], found["v"])

    def blocked_within(self, origins: np.ndarray, directions: np.ndarray, reach: float) -> np.ndarray:
        """Whether rays from origins (N, 3) along directions (N, S, 3) are blocked before ``reach``: (N, S)."""
        shape = directions.shape[:-1]
        starts = np.broadcast_to(origins[:, None], directions.shape).reshape(-1, 3)
        distances = np.full(len(starts), reach, dtype=np.float32)
        found = self._scene.run(
            _float32(starts), _float32(directions).reshape(-1, 3), dists=distances, query="OCCLUDED"
        )
        return (found >= 0).reshape(shape)


def _float32(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, dtype=np.float32)
