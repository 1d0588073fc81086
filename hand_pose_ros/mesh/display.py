"""The mesh of a hand as a display draws it: fewer triangles, and light baked into the colours of its vertices.

RViz and Foxglove light each triangle of a marker by its own normal, which shows every facet. Colours at the
vertices are interpolated, and RViz draws them as they are, so they hold the shading of a smooth surface.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.common.shapes import Array
from hand_pose_ros.mesh.skinning import hand_mesh
from hand_pose_ros.mesh.template import load_template
from hand_pose_ros.pose import HandPose

if TYPE_CHECKING:
    import scipy.sparse

# Directions to the lamps in the camera's optical frame (x right, y down, z forward), and their strength: a key
# light from the upper left behind the camera, a weak one from the right, one from behind the hand, and the sky.
_KEY: Final = (-0.45, -0.65, -0.60)
_FILL: Final = (0.85, 0.05, -0.50)
_BACK: Final = (0.25, -0.55, 0.80)
_LAMPS: Final = np.array([np.divide(lamp, np.linalg.norm(lamp)) for lamp in (_KEY, _FILL, _BACK)]).T
_STRENGTHS: Final = np.array((0.50, 0.16, 0.24))
_WRAP: Final = 0.15
"""How far light reaches around the terminator, as on skin."""
_AMBIENT, _SKY = 0.30, 0.12


@dataclass(frozen=True, eq=False)
class DisplayMesh:
    """A surface in the camera's optical frame, metres.

    vertices_m: (V, 3). faces: (F, 3), counter-clockwise seen from outside. light: (V,) what colours are scaled by.
    shipped: it is that of the shipped template, whose vertices :func:`fingertip_weights` describes.
    """

    vertices_m: Array
    faces: Array
    light: Array
    shipped: bool


def display_mesh(pose: HandPose) -> DisplayMesh:
    """The display mesh of a valid hand: of the shipped template a simplified one, else the hand's own mesh whole.

    Raises:
        ValueError: the hand is not valid.
    """
    mesh = hand_mesh(pose)
    template = load_template()
    if mesh.template != template.name or len(mesh.vertices_m) != len(template.vertices):
        light = _light(mesh.vertices_m, mesh.faces, _incidence(mesh.faces, len(mesh.vertices_m)))
        return DisplayMesh(mesh.vertices_m, mesh.faces, light, shipped=False)
    simplified = _simplified(pose.side)
    vertices_m = mesh.vertices_m[simplified.used]
    light = _light(vertices_m, simplified.faces, simplified.incidence)
    return DisplayMesh(vertices_m, simplified.faces, light, shipped=True)


def fingertip_weights() -> Array:
    """For each vertex of the shipped template's display mesh (V, 5), how much each finger's last bone moves it."""
    return load_template().weights[_simplified("right").used].cpu().numpy()[:, hand.FINGERTIPS]


class _Simplified(NamedTuple):
    """The shipped template's simplified surface, of one side.

    used: (V,) its vertices among the template's. faces: (F, 3) indices of those.
    """

    used: Array
    faces: Array
    incidence: scipy.sparse.csr_matrix


@lru_cache(maxsize=2)
def _simplified(side: str) -> _Simplified:
    template = load_template()
    kept = template.faces if template.display_faces is None else template.display_faces
    used, faces = np.unique(kept.cpu().numpy(), return_inverse=True)
    faces = faces.reshape(-1, 3)
    if hand.check_side(side) == "left":
        faces = np.ascontiguousarray(faces[:, ::-1])
    return _Simplified(used, faces, _incidence(faces, len(used)))


def _incidence(faces: Array, num_vertices: int) -> scipy.sparse.csr_matrix:
    """Matrix (V, F) of ones where a vertex belongs to a triangle."""
    import scipy.sparse  # late: a node that nobody looks at does without

    columns = np.repeat(np.arange(len(faces)), 3)
    ones = np.ones(3 * len(faces), np.float32)
    return scipy.sparse.csr_matrix((ones, (faces.ravel(), columns)), shape=(num_vertices, len(faces)))


def _light(vertices_m: Array, faces: Array, incidence: scipy.sparse.csr_matrix) -> Array:
    """How much light each vertex gets (V,), from its normal: the mean of its triangles' normals by area."""
    a, b, c = np.asarray(vertices_m, np.float32)[faces.T]
    normals = incidence @ np.cross(b - a, c - a)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True).clip(min=np.finfo(np.float32).tiny)
    lit = ((normals @ _LAMPS + _WRAP) / (1 + _WRAP)).clip(min=0)
    return _AMBIENT - _SKY * normals[:, 1] + lit @ _STRENGTHS
