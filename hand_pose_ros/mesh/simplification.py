"""Simplifies a mesh by edge collapses that keep its vertices: a lighter surface of the same skinned hand.

Quadric error metrics (Garland and Heckbert 1997), summed over several poses (DeCoro and Rusinkiewicz 2005): what
is flat in one pose may bend in another. The result uses a subset of the vertices, so whoever has posed the full
mesh has posed the simplified one too.
"""

from __future__ import annotations

import heapq

import numpy as np

_EVENNESS = 2e-3
"""Cost of an edge's squared length, beside the quadrics: without it, flat regions become slivers."""
_LEAST_TURN = 0.3
"""Least cosine between a triangle's normals before and after a collapse."""
_LEAST_QUALITY = 0.08
"""Least area of a triangle, in squares of its longest edge; an equilateral one has 0.43."""
_TETRAHEDRON = 4
"""Triangles of the smallest closed surface."""


def simplified_faces(posed: np.ndarray, faces: np.ndarray, target: int) -> np.ndarray:
    """Triangles (F', 3) of a closed surface over the same vertices, at most ``target`` or as few as possible.

    Args:
        posed: (P, V, 3) the vertices in P poses, in one unit.
        faces: (F, 3) of a closed manifold.

    Deterministic, up to rounding.
    """
    surface = _Surface(posed, faces)
    queue = [surface.candidate(keep, drop) for keep, ring in surface.rings() for drop in ring]
    heapq.heapify(queue)
    while queue and surface.num_faces > target:
        _, keep, drop, version = heapq.heappop(queue)
        if version != surface.version(keep, drop) or not surface.may_collapse(keep, drop):
            continue
        for vertex in surface.collapse(keep, drop):
            for neighbour in surface.ring(vertex):
                heapq.heappush(queue, surface.candidate(vertex, neighbour))
                heapq.heappush(queue, surface.candidate(neighbour, vertex))
    return surface.faces()


class _Surface:
    """A closed triangle mesh whose vertices are merged into their neighbours."""

    def __init__(self, posed: np.ndarray, faces: np.ndarray) -> None:
        self._posed = np.asarray(posed, np.float64)
        # A fixed order, so that every sum over the poses is rounded alike.
        self._quadrics = _quadrics(self._posed, faces)
        self._corners = {number: tuple(face) for number, face in enumerate(faces.tolist())}
        self._around: dict[int, set[int]] = {}
        for number, face in self._corners.items():
            for vertex in face:
                self._around.setdefault(vertex, set()).add(number)
        self._versions = dict.fromkeys(self._around, 0)

    @property
    def num_faces(self) -> int:
        return len(self._corners)

    def faces(self) -> np.ndarray:
        return np.array([self._corners[number] for number in sorted(self._corners)], np.int64)

    def ring(self, vertex: int) -> list[int]:
        """The neighbours of a vertex, in ascending order."""
        found = {corner for number in self._around[vertex] for corner in self._corners[number]}
        return sorted(found - {vertex})

    def rings(self) -> list[tuple[int, list[int]]]:
        return [(vertex, self.ring(vertex)) for vertex in sorted(self._around)]

    def version(self, keep: int, drop: int) -> int:
        """A number that changes with either vertex; -1 if one is gone."""
        if keep not in self._around or drop not in self._around:
            return -1
        return self._versions[keep] + self._versions[drop]

    def candidate(self, keep: int, drop: int) -> tuple[float, int, int, int]:
        """(cost, keep, drop, version) of merging ``drop`` into ``keep``."""
        at = self._posed[:, keep]
        both = self._quadrics[:, keep] + self._quadrics[:, drop]
        homogeneous = np.concatenate((at, np.ones((len(at), 1))), axis=1)
        error = np.einsum("pi,pij,pj->", homogeneous, both, homogeneous)
        length = ((at - self._posed[:, drop]) ** 2).sum()
        area = np.trace(self._quadrics[:, drop, :3, :3], axis1=1, axis2=2).mean()
        return float(error + _EVENNESS * area * length), keep, drop, self.version(keep, drop)

    def may_collapse(self, keep: int, drop: int) -> bool:
        """Whether the surface stays a manifold, and no triangle flips over or becomes a needle."""
        if len(self._corners) <= _TETRAHEDRON:
            return False
        shared = self._around[keep] & self._around[drop]
        if len(shared) != 2 or len(set(self.ring(keep)) & set(self.ring(drop))) != 2:
            return False
        moved = [self._corners[number] for number in sorted(self._around[drop] - shared)]
        before = self._posed[:, moved]
        after = self._posed[:, [[keep if corner == drop else corner for corner in face] for face in moved]]
        old, new = _normals(before), _normals(after)
        area = np.linalg.norm(new, axis=-1)
        turn = (old * new).sum(axis=-1) - _LEAST_TURN * np.linalg.norm(old, axis=-1) * area
        edges = after - np.roll(after, 1, axis=-2)
        needle = area / 2 - _LEAST_QUALITY * (edges**2).sum(axis=-1).max(axis=-1)
        return bool((turn > 0).all() and (needle > 0).all())

    def collapse(self, keep: int, drop: int) -> list[int]:
        """Merge ``drop`` into ``keep``; return the vertices whose candidates are new."""
        changed = self.ring(drop)
        for number in self._around.pop(drop):
            face = self._corners.pop(number)
            if keep in face:
                for vertex in face:
                    if vertex != drop:
                        self._around[vertex].discard(number)
            else:
                self._corners[number] = tuple(keep if corner == drop else corner for corner in face)
                self._around[keep].add(number)
        self._quadrics[:, keep] += self._quadrics[:, drop]
        for vertex in changed:
            self._versions[vertex] += 1
        return changed


def _quadrics(posed: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(P, V, 4, 4): for each vertex the sum of its triangles' squared distances, weighted by their areas."""
    corners = posed[:, faces]
    normals = _normals(corners)
    doubled = np.linalg.norm(normals, axis=-1, keepdims=True)
    unit = normals / np.maximum(doubled, np.finfo(np.float64).tiny)
    planes = np.concatenate((unit, -(unit * corners[:, :, 0]).sum(axis=-1, keepdims=True)), axis=-1)
    of_face = (doubled / 2)[..., None] * planes[..., :, None] * planes[..., None, :]
    result = np.zeros((*posed.shape[:2], 4, 4))
    for corner in range(3):
        for pose in range(len(posed)):
            np.add.at(result[pose], faces[:, corner], of_face[pose])
    return result


def _normals(corners: np.ndarray) -> np.ndarray:
    """Normals (..., 3) of triangles (..., 3, 3), of twice their area in length."""
    return np.cross(corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 0, :])
