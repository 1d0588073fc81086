"""Triangle meshes: from an implicit surface, by marching cubes and relaxation; which vertices are neighbours."""

from __future__ import annotations

import numpy as np
import scipy.sparse

from hand_pose_ros.mesh.shape import STUMP_LENGTH_MM, HandShape

_SPACING_MM = 4.3  # chosen for about 2,500 vertices
_STUMP_SPACING_MM = 9.0  # along the forearm, where nothing bends
_RELAXATIONS = 25


def mesh_surface(shape: HandShape) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) in millimetres and outward triangles (F, 3) of the shape's zero level."""
    from skimage.measure import marching_cubes  # only building the template needs it

    low, high = shape.bounds_mm
    forearm = np.arange(-STUMP_LENGTH_MM - 2 * _STUMP_SPACING_MM, -8.0, _STUMP_SPACING_MM)
    axes = [np.arange(low[k], high[k], _SPACING_MM) for k in range(3)]
    axes[0] = np.concatenate((forearm, np.arange(-8.0, high[0], _SPACING_MM)))
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    distance = shape.distance(grid.reshape(-1, 3)).reshape(grid.shape[:3])
    index, faces, _, _ = marching_cubes(distance, 0.0)
    vertices = np.stack([np.interp(index[:, k], np.arange(len(axes[k])), axes[k]) for k in range(3)], axis=1)
    faces = faces.astype(np.int64)
    for shortest in (0.45, 0.55):
        vertices, faces = _collapse_short_edges(vertices, faces, shortest * _SPACING_MM)
        vertices = _relax(shape, vertices, faces)
    return vertices, faces


def _relax(shape: HandShape, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Even out the triangles: move vertices to their neighbours' mean along the surface, then back onto it."""
    mean = neighbour_mean(len(vertices), faces)
    for _ in range(_RELAXATIONS):
        normal = shape.gradient(vertices)
        pull = mean @ vertices - vertices
        pull -= (pull * normal).sum(axis=1, keepdims=True) * normal
        vertices = vertices + 0.5 * pull
        vertices = vertices - shape.distance(vertices).clip(-1.0, 1.0)[:, None] * shape.gradient(vertices)
    return vertices


def _collapse_short_edges(
    vertices: np.ndarray, faces: np.ndarray, shortest: float
) -> tuple[np.ndarray, np.ndarray]:
    """Collapse edges below ``shortest`` where that keeps the surface a manifold (the link condition)."""
    vertices, triangles = vertices.copy(), [set(face) for face in faces.tolist()]
    ordered = [tuple(face) for face in faces.tolist()]
    around: dict[int, set[int]] = {}
    for number, face in enumerate(triangles):
        for vertex in face:
            around.setdefault(vertex, set()).add(number)

    edges = np.unique(np.sort(np.concatenate((faces[:, :2], faces[:, 1:], faces[:, ::2])), axis=1), axis=0)
    lengths = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    for keep, drop in edges[np.argsort(lengths, kind="stable")[: (lengths < shortest).sum()]].tolist():
        if keep not in around or drop not in around:
            continue
        shared = around[keep] & around[drop]
        if len(shared) != 2 or np.linalg.norm(vertices[keep] - vertices[drop]) >= shortest:
            continue
        ring = set().union(*(triangles[f] for f in around[keep])) & set().union(
            *(triangles[f] for f in around[drop])
        )
        if len(ring - {keep, drop}) != 2:
            continue
        vertices[keep] = (vertices[keep] + vertices[drop]) / 2
        for number in shared:
            for vertex in triangles[number]:
                around[vertex].discard(number)
            triangles[number] = set()
        for number in around.pop(drop):
            triangles[number] = triangles[number] - {drop} | {keep}
            ordered[number] = tuple(keep if v == drop else v for v in ordered[number])
            around[keep].add(number)

    kept = np.array([ordered[number] for number, face in enumerate(triangles) if face])
    used, faces = np.unique(kept, return_inverse=True)
    return vertices[used], faces.reshape(-1, 3)


def adjacency(num_vertices: int, faces: np.ndarray) -> scipy.sparse.csr_matrix:
    """Symmetric 0/1 matrix (V, V) of vertices joined by an edge."""
    rows = np.concatenate((faces, faces[:, [1, 2, 0]]), axis=1).ravel()
    columns = np.concatenate((faces[:, [1, 2, 0]], faces), axis=1).ravel()
    ones = np.ones(len(rows))
    matrix = scipy.sparse.csr_matrix((ones, (rows, columns)), shape=(num_vertices, num_vertices))
    matrix.data[:] = 1.0
    return matrix


def neighbour_mean(num_vertices: int, faces: np.ndarray) -> scipy.sparse.csr_matrix:
    """Matrix (V, V) that averages each vertex's neighbours."""
    matrix = adjacency(num_vertices, faces)
    return scipy.sparse.diags(1.0 / np.asarray(matrix.sum(axis=1)).ravel()) @ matrix
