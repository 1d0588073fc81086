"""The surface that is drawn: a template subdivided once, with what its shading needs in the build pose."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.sparse

from hand_pose_ros.mesh.skinning import build_pose_vertices, vertex_normals
from hand_pose_ros.mesh.surface import adjacency, neighbour_mean
from hand_pose_ros.mesh.template import HandTemplate


@dataclass(frozen=True)
class RenderSurface:
    """One subdivided hand (right, the shipped template's build pose, wrist frame, metres).

    rest: (V, 3), before the subdivision.
    subdivision: (V', V) sparse; posed template vertices -> drawn vertices (Loop's rule).
    smoothing: (V, V) sparse; one step of diffusion over the template's vertices.
    faces: (F', 3), outward. normals: (V', 3). face_bones: (F',) bone that moves each triangle.
    """

    rest: np.ndarray
    subdivision: scipy.sparse.csr_matrix
    smoothing: scipy.sparse.csr_matrix
    faces: np.ndarray
    normals: np.ndarray
    face_bones: np.ndarray


@lru_cache(maxsize=4)
def render_surface(template: HandTemplate) -> RenderSurface:
    """The subdivided template (float32, on the CPU), computed once."""
    rest = build_pose_vertices(template)
    faces = template.faces.numpy()
    subdivision, fine_faces = _loop_subdivision(len(template.vertices), faces)
    bones = (subdivision @ template.weights.numpy())[fine_faces].sum(axis=1).argmax(axis=1)
    half = 0.5 * scipy.sparse.identity(len(template.vertices))
    return RenderSurface(
        rest=rest.numpy(),
        subdivision=subdivision,
        smoothing=(half + 0.5 * neighbour_mean(len(template.vertices), faces)).tocsr().astype(np.float32),
        faces=fine_faces.astype(np.int32),
        normals=subdivision @ vertex_normals(rest, "right", template).numpy(),
        face_bones=bones,
    )


def _loop_subdivision(num_vertices: int, faces: np.ndarray) -> tuple[scipy.sparse.csr_matrix, np.ndarray]:
    """Loop's subdivision of a closed mesh as a matrix (V + E, V), and the four times as many triangles."""
    half_edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    opposite = faces[:, [2, 0, 1]].reshape(-1)
    edges, edge_of = np.unique(half_edges, axis=0, return_inverse=True)
    edge_of = edge_of.reshape(-1)
    num_edges = len(edges)
    new = np.arange(num_edges)
    rows = np.concatenate((new, new, edge_of))
    columns = np.concatenate((edges[:, 0], edges[:, 1], opposite))
    values = np.concatenate((np.full(2 * num_edges, 3 / 8), np.full(len(opposite), 1 / 8)))
    odd = scipy.sparse.csr_matrix((values, (rows, columns)), shape=(num_edges, num_vertices))

    neighbours = adjacency(num_vertices, faces)
    valence = np.asarray(neighbours.sum(axis=1)).ravel()
    beta = (5 / 8 - (3 / 8 + np.cos(2 * np.pi / valence) / 4) ** 2) / valence
    even = scipy.sparse.diags(1 - valence * beta) + scipy.sparse.diags(beta) @ neighbours

    a, b, c = faces.T
    ab, bc, ca = (num_vertices + edge_of).reshape(-1, 3).T
    fine = np.stack(((a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca))).transpose(2, 0, 1).reshape(-1, 3)
    return scipy.sparse.csr_matrix(scipy.sparse.vstack((even, odd)), dtype=np.float32), fine
