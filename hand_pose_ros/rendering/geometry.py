"""Everything that is drawn, as one set of triangles in the camera frame, and its colour at any point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse
import torch

from hand_pose_ros import hand
from hand_pose_ros.kinematics.forward import HandFrames
from hand_pose_ros.mesh.skinning import skin, vertex_normals
from hand_pose_ros.mesh.template import HandTemplate, load_template
from hand_pose_ros.rendering.forearm import Forearm, from_wrist
from hand_pose_ros.rendering.lighting import Lighting, shade, vertex_visibility
from hand_pose_ros.rendering.rays import RayScene
from hand_pose_ros.rendering.skin import SKIN_TONES, Skin, linear_from_srgb, skin_at
from hand_pose_ros.rendering.surface import render_surface

_CLOTH = -1  # bone number of triangles that are not skin


@dataclass(frozen=True)
class HandInView:
    """A hand to draw: the posed skeleton in the camera's optical frame (metres), its side and its looks.

    template: float32, on the CPU. Its stump is drawn out to the forearm; without one the arm ends at the wrist.
    """

    frames: HandFrames
    side: str = "right"
    skin: Skin = SKIN_TONES[1]
    forearm: Forearm = field(default_factory=Forearm)
    template: HandTemplate = field(default_factory=load_template)

    def __post_init__(self) -> None:
        hand.check_side(self.side)
        if tuple(self.frames.joints.shape) != (hand.NUM_JOINTS, 3):
            raise ValueError(
                f"frames must be of one hand, joints ({hand.NUM_JOINTS}, 3), got {tuple(self.frames.joints.shape)}"
            )
        if not all(bool(part.isfinite().all()) for part in self.frames):
            raise ValueError("frames must be finite: a hand that is not known cannot be drawn")

    @property
    def size(self) -> float:
        """Size relative to the template hand."""
        anchor = self.frames.joints[hand.ANCHOR_JOINT] - self.frames.joints[hand.WRIST]
        return float(anchor.norm()) / hand.MEAN_ANCHOR_LENGTH_M


@dataclass(frozen=True)
class _Part:
    """A hand with its bare forearm, or a sleeve.

    vertices, normals: (n, 3) camera frame, where light is sampled. smoothing: (n, n). refine: (N, n), to the N
    drawn vertices. faces: (F, 3) of drawn vertices. bones: (F,). rest: (N, 6) position and normal in the build
    pose. label: what the mask shows. owner: index of the hand.
    """

    vertices: np.ndarray
    normals: np.ndarray
    smoothing: scipy.sparse.csr_matrix
    refine: scipy.sparse.csr_matrix
    faces: np.ndarray
    bones: np.ndarray
    rest: np.ndarray
    label: int
    owner: int


class Geometry:
    """A picture's vertices (V, 3), faces (F, 3), and labels (F,) uint8: what the mask shows of each triangle."""

    def __init__(self, hands: Sequence[HandInView], lighting: Lighting) -> None:
        self._hands = hands
        self._lighting = lighting
        parts = [part for owner, one in enumerate(hands) for part in _parts(one, owner)]
        drawn = [part.refine @ part.vertices for part in parts]
        starts = np.cumsum([0] + [len(vertices) for vertices in drawn])
        self.vertices = np.concatenate(drawn)
        self.faces = np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=False)])
        counts = [len(part.faces) for part in parts]
        self._bones = np.concatenate([part.bones for part in parts])
        self._owners = np.repeat([part.owner for part in parts], counts)
        self.labels = np.repeat([part.label for part in parts], counts).astype(np.uint8)
        self.scene = RayScene(self.vertices, self.faces)
        self._attributes = np.concatenate([self._vertex_attributes(part) for part in parts])

    def _vertex_attributes(self, part: _Part) -> np.ndarray:
        """Normal, place and normal in the build pose, visibility of every light: (N, 9 + 3 (lights + 1))."""
        visibility = vertex_visibility(
            self.scene, part.vertices, part.normals, self._lighting, part.smoothing
        )
        sampled = np.concatenate((part.normals, visibility.reshape(len(visibility), -1)), axis=1)
        refined = part.refine @ sampled
        return np.concatenate((refined[:, :3], part.rest, refined[:, 3:]), axis=1).astype(np.float32)

    def colour(self, triangles: np.ndarray, barycentric: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Linear RGB (N, 3) of points on triangles (N,), seen along directions (N, 3)."""
        first, second, third = (
            barycentric[:, corner, None] * self._attributes[self.faces[triangles, corner]]
            for corner in range(3)
        )
        values = first + second + third
        normals, rest, rest_normals = _unit(values[:, :3]), values[:, 3:6], _unit(values[:, 6:9])
        visibility = values[:, 9:].reshape(len(values), len(self._lighting.lights) + 1, 3)
        bones, owners = self._bones[triangles], self._owners[triangles]
        albedo = np.empty_like(rest)
        gloss = np.zeros(len(rest), dtype=np.float32)
        for owner, one in enumerate(self._hands):
            on_cloth = (owners == owner) & (bones == _CLOTH)
            albedo[on_cloth] = linear_from_srgb(np.asarray(one.forearm.sleeve_rgb))
            on_skin = np.flatnonzero((owners == owner) & (bones != _CLOTH))
            sample = skin_at(one.skin, rest[on_skin], rest_normals[on_skin], bones[on_skin])
            albedo[on_skin], gloss[on_skin] = sample.albedo, sample.gloss
            normals[on_skin] = _unit(normals[on_skin] + sample.grain)
        return shade(self._lighting, albedo, gloss, normals, _unit(-directions), visibility)


def _parts(one: HandInView, owner: int) -> list[_Part]:
    """The geometry of one hand."""
    surface = render_surface(one.template)
    frames = HandFrames(*(part.detach().to("cpu", torch.float32) for part in one.frames))
    vertices = skin(frames, one.side, one.template).numpy()
    rest = surface.rest.copy()
    drawn_out, behind = one.forearm.draw_out(rest)
    vertices[behind] = _from_wrist(one, drawn_out)
    rest[behind] = drawn_out
    winding = 1 if one.side == "right" else -1
    parts = [
        _Part(
            vertices=vertices,
            normals=vertex_normals(torch.from_numpy(vertices), one.side, one.template).numpy(),
            smoothing=surface.smoothing,
            refine=surface.subdivision,
            faces=surface.faces[:, ::winding],
            bones=surface.face_bones,
            rest=np.concatenate((surface.subdivision @ rest, surface.normals), axis=1),
            label=owner + 1,
            owner=owner,
        )
    ]
    sleeve, sleeve_faces = one.forearm.sleeve()
    if len(sleeve):
        vertices = _from_wrist(one, sleeve)
        even = scipy.sparse.csr_matrix(np.eye(len(sleeve), dtype=np.float32))
        parts.append(
            _Part(
                vertices=vertices,
                normals=_normals(vertices, sleeve_faces) * -winding,
                smoothing=even,
                refine=even,
                faces=sleeve_faces,
                bones=np.full(len(sleeve_faces), _CLOTH),
                rest=np.zeros((len(sleeve), 6), dtype=np.float32),
                label=0,
                owner=owner,
            )
        )
    return parts


def _from_wrist(one: HandInView, points: np.ndarray) -> np.ndarray:
    """Points (N, 3) of a right hand's wrist frame and the template's size, in the camera frame."""
    rotation, origin = (part[hand.WRIST].detach().cpu().numpy() for part in reversed(one.frames))
    return from_wrist(points, rotation, origin, one.size, one.side)


def _normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted unit normals (N, 3)."""
    a, b, c = vertices[faces].transpose(1, 0, 2)
    flat = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], flat)
    return _unit(normals)


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.sqrt(np.einsum("ni,ni->n", vectors, vectors))[:, None]
    return vectors / np.maximum(length, np.float32(1e-12))
