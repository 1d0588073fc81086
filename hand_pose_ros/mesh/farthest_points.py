"""Farthest point sampling orders a template's vertices, so that the first n of them cover its surface for every n.

Each vertex is the one farthest from all before it (Eldar et al. 1997), so the samples of all sizes are nested: a
coarser level is a prefix of a finer one. The order of the shipped template is stored; weights rely on it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from hand_pose_ros.mesh.template import HandTemplate, load_template

ORDER_PATH: Final = Path(__file__).with_name("farthest_points.npz")
"""Written by ``hand_pose template``, beside the template."""


def farthest_order(vertices: np.ndarray) -> np.ndarray:
    """Return all vertices' indices (V,) int64 in the order of farthest point sampling.

    The first is the vertex farthest from the mean of all; of equally far ones, that with the lowest index.

    Args:
        vertices: (V, 3), any unit.

    Raises:
        ValueError: another shape, no vertex, or a value that is not finite.
    """
    if vertices.ndim != 2 or vertices.shape[1] != 3 or not len(vertices):
        raise ValueError(f"vertices must have shape (V, 3) with V > 0, got {vertices.shape}")
    if not np.isfinite(vertices).all():
        raise ValueError("vertices must be finite")
    points = vertices.astype(np.float64)
    order = np.empty(len(points), np.int64)
    order[0] = ((points - points.mean(0)) ** 2).sum(1).argmax()
    distance = np.full(len(points), np.inf)
    for place in range(1, len(points)):
        last = points[order[place - 1]]
        distance = np.minimum(distance, ((points - last) ** 2).sum(1))
        distance[order[place - 1]] = -1.0  # taken, also where another vertex has the same place
        order[place] = distance.argmax()
    return order


def template_order(template: HandTemplate | None = None) -> np.ndarray:
    """Return the farthest order (V,) of a template's vertices.

    It is the stored one for the shipped template and for None, and computed from the rest pose for another.
    """
    shipped = load_template()
    if template is None or (
        template.name == shipped.name and len(template.vertices) == len(shipped.vertices)
    ):
        return _stored().copy()
    return farthest_order(template.vertices.detach().cpu().numpy())


def level_sizes(points: int, rate: float, levels: int) -> tuple[int, ...]:
    """Return the sizes (levels + 1,) of ``points`` and of ``levels`` coarser samples, each smaller by ``rate``.

    Raises:
        ValueError: the rate is not above 1, or a level would have less than two points.
    """
    if not rate > 1 or levels < 0:
        raise ValueError(f"the rate must be above 1 and levels not negative, got {rate} and {levels}")
    sizes = tuple(round(points / rate**level) for level in range(levels + 1))
    if sizes[-1] < 2:
        raise ValueError(f"{levels} levels at rate {rate} leave less than two of {points} points")
    return sizes


@cache
def _stored() -> np.ndarray:
    with np.load(ORDER_PATH) as stored:
        return stored["order"].astype(np.int64)


def save_order(vertices: np.ndarray, path: Path) -> None:
    """Write the farthest order of a template's vertices (V, 3) to an ``.npz`` file."""
    np.savez_compressed(path, order=farthest_order(vertices).astype(np.uint16))
