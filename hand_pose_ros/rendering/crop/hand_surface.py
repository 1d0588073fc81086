"""Hand meshes for small pictures: not subdivided, lit at their vertices, coloured by textures.

The shipped template and rigged meshes are drawn alike. Their skin is either a picture that came with the mesh, or
the procedural skin of :mod:`hand_pose_ros.rendering.skin`, painted into a few texels for each triangle.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse

from hand_pose_ros.mesh.skinning import build_pose_vertices
from hand_pose_ros.mesh.surface import neighbour_mean
from hand_pose_ros.mesh.template import HandTemplate
from hand_pose_ros.rendering.crop.mesh_part import Texture, face_incidence, vertex_normals
from hand_pose_ros.rendering.skin import Skin, skin_at

_TEXELS = 4  # along each side of a triangle


@dataclass(frozen=True)
class HandSurface:
    """A right hand's mesh, posed by :func:`hand_pose_ros.mesh.skinning.skin` with ``template``.

    template: mesh, weights and its own rest pose. painted: pictures that the mesh came with, and where its
    triangles' corners (3, 2, F) lie in them, in texels.
    """

    template: HandTemplate
    painted: tuple[Texture, ...] = ()

    @cached_property
    def faces(self) -> np.ndarray:
        """(F, 3) int32, counter-clockwise seen from outside."""
        return self.template.faces.numpy().astype(np.int32)

    @cached_property
    def rest(self) -> np.ndarray:
        """(V, 3) float32 in the shipped template's build pose (wrist frame, metres, mean size)."""
        return build_pose_vertices(self.template).numpy()

    @cached_property
    def incidence(self) -> scipy.sparse.csr_matrix:
        """(V, F): which triangles are around each vertex."""
        return face_incidence(len(self.rest), self.faces)

    @cached_property
    def smoothing(self) -> scipy.sparse.csr_matrix:
        """(V, V): one step of diffusion over the surface."""
        half = 0.5 * scipy.sparse.identity(len(self.rest))
        return (half + 0.5 * neighbour_mean(len(self.rest), self.faces)).tocsr().astype(np.float32)

    def procedural(self, skin: Skin) -> Texture:
        """The mesh painted with procedural skin."""
        steps = np.arange(_TEXELS, dtype=np.float32) / (_TEXELS - 1)
        second, third = np.meshgrid(steps, steps)  # weights of the corners; x is the second's
        barycentric = np.stack((1 - second - third, second, third), axis=-1).reshape(-1, 3)
        normals = vertex_normals(self.rest, self.faces, self.incidence)
        bones = (self.template.weights.numpy()[self.faces]).sum(axis=1).argmax(axis=1)
        count = len(self.faces)

        def at_texels(values: np.ndarray) -> np.ndarray:
            return np.einsum("tc,fci->fti", barycentric, values[self.faces]).reshape(-1, values.shape[1])

        at_normals = at_texels(normals)
        at_normals /= np.linalg.norm(at_normals, axis=1, keepdims=True).clip(min=1e-6)
        sample = skin_at(skin, at_texels(self.rest), at_normals, bones.repeat(_TEXELS**2))
        colours = sample.albedo.reshape(count, _TEXELS, _TEXELS, 3)
        return Texture(*_atlas(colours))


def _atlas(colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One picture (h, w, 3) of square patches (F, n, n, 3), and the corners (3, 2, F) of their triangles in it."""
    count, side = colours.shape[:2]
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    padded = np.zeros((rows * columns, side, side, 3), dtype=np.float32)
    padded[:count] = colours
    picture = (
        padded.reshape(rows, columns, side, side, 3).swapaxes(1, 2).reshape(rows * side, columns * side, 3)
    )
    row, column = np.divmod(np.arange(count), columns)
    # The middles of the first, the last in x and the last in y texel of the patch.
    corners = np.array(((0, 0), (side - 1, 0), (0, side - 1)), dtype=np.float32) + 0.5
    places = np.stack((column, row)) * side
    return picture, (places + corners[:, :, None]).astype(np.float32)
