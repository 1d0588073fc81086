"""A coarse template keeps some of a template's vertices and gives the others by fixed weights.

The kept vertices are the first of the farthest order. Each vertex is a combination of kept ones nearby on the
surface, whose weights sum to one and reproduce the rest pose exactly. So they follow any affine motion, such as
that of one bone, exactly; only near joints, where bones blend, there is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph
import torch
from torch import Tensor

from hand_pose_ros.common.shapes import check_shape
from hand_pose_ros.mesh.farthest_points import template_order
from hand_pose_ros.mesh.template import HandTemplate, load_template

_SUPPORT: Final = 10
_RIDGE: Final = 0.02  # keeps weights small where the support is nearly flat
_FEWEST: Final = 2 * _SUPPORT


@dataclass(frozen=True, eq=False)
class CoarseTemplate:
    """Kept vertices of a template of V vertices, and the weights that give all of them.

    indices: (n,) int64, the kept vertices, in the template's farthest order.
    support: (V, k) int64, places among the kept vertices. weights: (V, k); rows sum to 1.
    """

    indices: Tensor
    support: Tensor
    weights: Tensor

    @property
    def points(self) -> int:
        """Number of kept vertices."""
        return len(self.indices)

    def keep(self, vertices: Tensor) -> Tensor:
        """Return the kept ones (..., n, 3) of vertices (..., V, 3).

        Raises:
            ValueError: another number of vertices.
        """
        check_shape("vertices", vertices, (len(self.support), 3))
        return vertices[..., self.indices.to(vertices.device), :]

    def fill(self, kept: Tensor) -> Tensor:
        """Return all vertices (..., V, 3) of kept ones (..., n, 3).

        Raises:
            ValueError: another number of kept vertices.
        """
        check_shape("kept vertices", kept, (self.points, 3))
        return fill(kept, self.matrix().to(kept))

    def matrix(self) -> Tensor:
        """Return the weights as a matrix (V, n): as fast as the sparse sum, and its gradient much faster."""
        return torch.zeros(len(self.support), self.points).scatter_add_(1, self.support, self.weights)


def fill(kept: Tensor, matrix: Tensor) -> Tensor:
    """Return all vertices (..., V, 3) of kept ones (..., n, 3) by a :class:`CoarseTemplate`'s matrix (V, n)."""
    columns = kept.movedim(-2, 0)
    return (matrix @ columns.flatten(1)).unflatten(1, columns.shape[1:]).movedim(0, -2)


def coarse_template(points: int, template: HandTemplate | None = None) -> CoarseTemplate:
    """Return the coarse template of ``points`` vertices, float32; of all vertices, it keeps the template's own.

    Args:
        template: the shipped one if None.

    Raises:
        ValueError: points is below 20 or above the template's number of vertices.
    """
    template = template or load_template()
    if not _FEWEST <= points <= len(template.vertices):
        raise ValueError(f"points must lie in [{_FEWEST}, {len(template.vertices)}], got {points}")
    return _coarse(points, template)


@lru_cache(maxsize=8)
def _coarse(points: int, template: HandTemplate) -> CoarseTemplate:
    order = template_order(template)
    vertices = template.vertices.detach().cpu().numpy().astype(np.float64)
    kept = order[:points]
    if points == len(vertices):
        support = np.empty((points, 1), np.int64)
        support[kept, 0] = np.arange(points)
        weights = np.ones((points, 1))
    else:
        distance = _surface_distances(vertices, template.faces.cpu().numpy(), kept)
        support = np.argsort(distance, axis=0, kind="stable")[:_SUPPORT].T
        near = np.take_along_axis(distance.T, support, axis=1)
        weights = _weights(vertices, vertices[kept[support]], near)
        support[kept], weights[kept] = np.arange(points)[:, None], 0.0
        weights[kept, 0] = 1.0
    with torch.inference_mode(False):
        indices, support = (torch.from_numpy(np.ascontiguousarray(one)) for one in (kept, support))
        return CoarseTemplate(indices, support, torch.from_numpy(weights).float())


def _surface_distances(vertices: np.ndarray, faces: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Distances (n, V) along edges from the kept vertices to all: a neighbouring finger is far away."""
    ends = np.concatenate([faces[:, pair] for pair in ((0, 1), (1, 2), (2, 0))])
    lengths = np.linalg.norm(vertices[ends[:, 0]] - vertices[ends[:, 1]], axis=1)
    graph = scipy.sparse.csr_matrix((lengths, (ends[:, 0], ends[:, 1])), shape=(len(vertices),) * 2)
    graph = graph.maximum(graph.T)
    return scipy.sparse.csgraph.dijkstra(graph, directed=False, indices=kept)


def _weights(vertices: np.ndarray, around: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Weights (V, k) of the vertices ``around`` (V, k, 3) each: small far away, of sum 1, exact in the rest pose.

    Minimises sum of (w * distance)^2 and a ridge under the four linear constraints.
    """
    size = distance.max(axis=1, keepdims=True)
    offset = (around - vertices[:, None]) / size[..., None]
    cost = (distance / size) ** 4 + _RIDGE
    constraints = np.concatenate((np.ones_like(offset[..., :1]), offset), axis=2)  # (V, k, 4)
    weighted = constraints / cost[..., None]
    gram = constraints.transpose(0, 2, 1) @ weighted
    target = np.zeros((len(vertices), 4, 1))
    target[:, 0] = 1.0
    return (weighted @ np.linalg.solve(gram, target))[..., 0]
