"""Checks that posed vertices are those of a template, in its order."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from hand_pose_ros.common.shapes import check_shape
from hand_pose_ros.mesh.template import HandTemplate, load_template

_LARGEST_RATIO: Final = 3.0


def check_meshes(vertices: Tensor, template: HandTemplate | None = None) -> None:
    """Check hands (n, V, 3), in any unit, frame and pose: shape, at least one, finite, and the template's order.

    In another order, neighbours on the surface would lie far apart: the median edge of each hand, relative to the
    hand's size, must be like that of the rest pose.

    Raises:
        ValueError: what does not hold; the message tells the first hand concerned.
    """
    template = template or load_template()
    if vertices.ndim != 3:
        raise ValueError(f"vertices must have shape (n, V, 3), got {tuple(vertices.shape)}")
    check_shape("vertices", vertices, (len(template.vertices), 3))
    if not len(vertices):
        raise ValueError("the batch has no hand: n must be at least 1")
    if not bool(vertices.isfinite().all()):
        bad = (~vertices.isfinite()).any(-1)
        first = int(bad.any(-1).nonzero()[0])
        raise ValueError(f"{int(bad[first].sum())} vertices of hand {first} are not finite")
    ratio = _relative_edge(vertices.float(), template) / _relative_edge(
        template.vertices[None].to(vertices.device).float(), template
    )
    wrong = ~((ratio < _LARGEST_RATIO) & (ratio > 1 / _LARGEST_RATIO))
    if bool(wrong.any()):
        raise ValueError(
            f"the vertices of hand {int(wrong.nonzero()[0])} are not in the order of template {template.name!r}: "
            f"its edges are {float(ratio[wrong][0]):.2g} times as long, relative to the hand"
        )


def _relative_edge(vertices: Tensor, template: HandTemplate) -> Tensor:
    """Median edge length (n,) divided by the root mean square distance from the middle."""
    faces = template.faces.to(vertices.device)
    edges = (vertices[:, faces[:, 0]] - vertices[:, faces[:, 1]]).norm(dim=-1).median(dim=-1).values
    spread = (vertices - vertices.mean(1, keepdim=True)).square().sum(-1).mean(-1).sqrt()
    return edges / spread.clamp(min=torch.finfo(torch.float32).tiny)
