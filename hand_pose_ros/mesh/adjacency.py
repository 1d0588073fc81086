"""Which vertices of a triangle mesh are neighbours, as sparse matrices."""

from __future__ import annotations

import numpy as np
import scipy.sparse


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
