"""Meshes other than the shipped one: a tetrahedron, and the template with its vertices in another order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.mesh.template import HandTemplate, load_template
from hand_pose_ros.pose import HandMesh

_CORNERS_M = 0.04 * np.array(((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)))
_FACES = np.array(((0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)))


def tetrahedron(centre_m: np.ndarray) -> HandMesh:
    """A closed mesh with its middle at ``centre_m`` (3,)."""
    return HandMesh(_CORNERS_M - _CORNERS_M.mean(axis=0) + centre_m, _FACES, "tetrahedron")


def tetrahedron_template(dtype: torch.dtype = torch.float32) -> HandTemplate:
    """A template that moves with the wrist alone, and has no regressor."""
    shipped = load_template(dtype)
    weights = torch.zeros(len(_CORNERS_M), hand.NUM_JOINTS, dtype=dtype)
    weights[:, hand.WRIST] = 1
    vertices, faces = torch.from_numpy(_CORNERS_M).to(dtype), torch.from_numpy(_FACES)
    return HandTemplate("tetrahedron", vertices, faces, weights, shipped.joints, shipped.rotations)


def reversed_template(dtype: torch.dtype = torch.float32) -> HandTemplate:
    """The shipped template with its vertices in reverse order."""
    template = load_template(dtype)
    return replace(
        template,
        name="reversed",
        vertices=template.vertices.flip(0),
        weights=template.weights.flip(0),
        faces=len(template.vertices) - 1 - template.faces,
        regressor=template.regressor.flip(1),
    )
