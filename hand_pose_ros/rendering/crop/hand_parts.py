"""The surfaces of what training crops show: a hand with its forearm, a sleeve, an object."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from hand_pose_ros.rendering.crop.hand_surface import HandSurface
from hand_pose_ros.rendering.crop.mesh_part import MeshPart, Texture, face_incidence, vertex_normals
from hand_pose_ros.rendering.crop.solids import solid
from hand_pose_ros.rendering.forearm import SLEEVE_AROUND, SLEEVE_RINGS, Forearm, from_wrist


class Wrist:
    """Pose of a wrist: rotation (3, 3) and origin (3,) in the camera's frame, size relative to the mean hand."""

    def __init__(self, rotation: np.ndarray, origin: np.ndarray, size: float, side: str) -> None:
        self.rotation, self.origin, self.size, self.side = rotation, origin, size, side

    def place(self, points: np.ndarray) -> np.ndarray:
        """Points (N, 3) of a right arm of the mean size, in the camera's frame."""
        return from_wrist(points, self.rotation, self.origin, self.size, self.side)


def hand_part(
    surface: HandSurface,
    vertices: np.ndarray,
    wrist: Wrist,
    forearm: Forearm,
    texture: Texture,
    tint: np.ndarray,
    gloss: float,
    label: int,
) -> MeshPart:
    """A posed hand, vertices (V, 3), with its forearm drawn out behind the wrist."""
    drawn_out, behind = forearm.draw_out(surface.rest)
    vertices = vertices.copy()
    vertices[behind] = wrist.place(drawn_out)
    normals = vertex_normals(vertices, surface.faces, surface.incidence)
    faces = surface.faces
    if wrist.side == "left":  # a mirrored surface is inside out
        normals, faces, texture = -normals, faces[:, ::-1], texture._replace(corners=texture.corners[::-1])
    return MeshPart(vertices, normals, faces, texture, label, tint, gloss, surface.smoothing)


def sleeve_part(wrist: Wrist, forearm: Forearm, image: np.ndarray, repeats: int, label: int) -> MeshPart:
    """The sleeve of a forearm that has one, in cloth (h, w, 3) that goes ``repeats`` times around."""
    sleeve, faces = forearm.sleeve()
    faces = faces[:, ::-1]  # its triangles look inwards
    vertices = wrist.place(sleeve)
    incidence, round_corners = _sleeve_constants(faces.tobytes(), len(sleeve))
    normals = vertex_normals(vertices, faces, incidence)
    scale = np.float32(image.shape[0] * repeats)
    corners = round_corners * scale
    if wrist.side == "left":
        normals, faces, corners = -normals, faces[:, ::-1], corners[::-1]
    return MeshPart(
        vertices, normals, faces, Texture(image, corners), label, np.ones(3, dtype=np.float32), 0.1
    )


@lru_cache(maxsize=4)
def _sleeve_constants(faces: bytes, num_vertices: int) -> tuple:
    """Incidence of the sleeve's faces, and where their corners (3, 2, F) are on the cloth: around, along."""
    triangles = np.frombuffer(faces, dtype=np.int64).reshape(-1, 3)
    ring, step = np.divmod(triangles, SLEEVE_AROUND)
    # The faces that close the ring.
    step = np.where((np.ptp(step, axis=1) > 1)[:, None] & (step == 0), SLEEVE_AROUND, step)
    corners = np.stack((step.T / SLEEVE_AROUND, ring.T / SLEEVE_RINGS * 1.5), axis=1).astype(np.float32)
    return face_incidence(num_vertices, triangles), corners


def solid_part(
    kind: str,
    half_size: np.ndarray,
    rotation: np.ndarray,
    centre: np.ndarray,
    image: np.ndarray,
    gloss: float,
    label: int,
) -> MeshPart:
    """A solid whose frame is at ``centre`` (3,), turned by ``rotation`` (3, 3), in a material (h, w, 3)."""
    x, y, z = map(float, half_size)
    shape = solid(kind, (x, y, z))
    turn = rotation.T.astype(np.float32)
    size = np.float32(image.shape[0])
    corners = (shape.uv * size).T[:, shape.faces.T].swapaxes(0, 1)
    return MeshPart(
        vertices=shape.vertices @ turn + centre.astype(np.float32),
        normals=shape.normals @ turn,
        faces=shape.faces,
        texture=Texture(image, corners),
        label=label,
        tint=np.ones(3, dtype=np.float32),
        gloss=gloss,
    )
