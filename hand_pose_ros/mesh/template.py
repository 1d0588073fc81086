"""Template hands, meshes that a skeleton poses, and the one that ships with the package."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand

SHIPPED_NAME: Final = "hand_pose_ros"
"""Name of the shipped template."""
TEMPLATE_PATH = Path(__file__).with_name("template.npz")
"""Written by ``hand_pose template``."""
JOINT_DEPTHS_M: Final = (0.020, 0.018, 0.014, 0.012, 0.010) + (0.015, 0.011, 0.010, 0.009) * 4
"""Depth of each joint in the flesh of a hand of mean size: a joint with no more in front of it is visible."""
SLANT: Final = 1.5
"""A slanting ray passes through more flesh, by up to this factor."""
BONE_STARTS: Final = tuple(max(parent, 0) for parent in hand.PARENTS)
"""The joint that each bone starts at; for the wrist's entry, the wrist."""


@dataclass(frozen=True, eq=False)
class HandTemplate:
    """A right hand in a rest pose of its own, wrist frame, metres. What is derived from it is computed once.

    name: identifies the topology; hands posed from templates of one name can be compared vertex by vertex.
    vertices: (V, 3). faces: (F, 3) int64, counter-clockwise seen from outside.
    weights: (V, 21), of the wrist and of the bones that end in joints 1-20; rows sum to 1.
    joints, rotations: (21, 3) and (21, 3, 3), the skeleton in the rest pose.
    regressor: (21, V); ``regressor @ vertices`` are the joints; rows sum to 1. None if there is none.
    display_faces: (F', 3) int64, a simplified surface over the same vertices, for displays. None if there is none.
    """

    name: str
    vertices: Tensor
    faces: Tensor
    weights: Tensor
    joints: Tensor
    rotations: Tensor
    regressor: Tensor | None = None
    display_faces: Tensor | None = None

    @property
    def bones(self) -> Tensor:
        """(V,) index of the bone (the joint it ends in, 0 for the wrist) that moves each vertex most."""
        return self.weights.argmax(dim=-1)

    def bone_coordinates(self, bone: int) -> Tensor:
        """Vertices (V, 3) in the frame of one bone: x along it from its start, y radial, z dorsal, metres."""
        return (self.vertices - self.joints[BONE_STARTS[bone]]) @ self.rotations[bone]

    @cached_property
    def skinning_basis(self) -> tuple[Tensor, Tensor, Tensor]:
        """The constants of :func:`hand_pose_ros.mesh.skinning.skin`.

        Basis (V, 84): each vertex's homogeneous position times its weight of each bone.
        to_bone (21, 4, 3): T_bone_template of every bone, transposed, for row vectors.
        inverse_lengths (21,): 1 / length of each bone; the wrist's entry is 0.
        """
        with torch.inference_mode(False):
            homogeneous = torch.cat((self.vertices, torch.ones_like(self.vertices[:, :1])), dim=-1)
            basis = (self.weights[:, :, None] * homogeneous[:, None, :]).flatten(1)
            starts = self.joints[BONE_STARTS, :]
            offset = -(starts[:, None, :] @ self.rotations)
            lengths = (self.joints - starts).norm(dim=-1)
            inverse_lengths = torch.where(lengths > 0, 1 / lengths.clamp(min=1e-9), torch.zeros_like(lengths))
            to_bone = torch.cat((self.rotations, offset), dim=-2)
        return basis, to_bone, inverse_lengths

    @cached_property
    def incident_faces(self) -> Tensor:
        """For each vertex the triangles around it (V, most), padded with F."""
        with torch.inference_mode(False):
            num_vertices, num_faces = len(self.vertices), len(self.faces)
            corner_vertex = self.faces.flatten()
            order = corner_vertex.argsort(stable=True)
            counts = corner_vertex.bincount(minlength=num_vertices)
            rank = torch.arange(len(order), device=order.device)
            rank -= (counts.cumsum(0) - counts)[corner_vertex[order]]
            incident = torch.full((num_vertices, int(counts.max())), num_faces, device=order.device)
            incident[corner_vertex[order], rank] = order // 3
        return incident


def load_template(dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> HandTemplate:
    """The shipped template, in its build pose, read once per dtype and device."""
    return _shipped(dtype, torch.device(device))


@cache
def _shipped(dtype: torch.dtype, device: torch.device) -> HandTemplate:
    with np.load(TEMPLATE_PATH) as stored:
        vertices = stored["vertices"]
        weights = np.zeros((len(vertices), hand.NUM_JOINTS))
        np.put_along_axis(weights, stored["weight_bones"].astype(np.int64), stored["weights"], axis=1)
        regressor = np.zeros((hand.NUM_JOINTS, len(vertices)))
        np.put_along_axis(
            regressor, stored["regressor_vertices"].astype(np.int64), stored["regressor"], axis=1
        )
        arrays = (vertices, weights, regressor, stored["joints"], stored["rotations"])
        face_arrays = [stored[name].astype(np.int64) for name in ("faces", "display_faces")]
    with torch.inference_mode(False):
        vertices, weights, regressor, joints, rotations = (
            torch.from_numpy(np.ascontiguousarray(array)).to(device, dtype) for array in arrays
        )
        faces, display_faces = (torch.from_numpy(array).to(device) for array in face_arrays)
        weights = weights / weights.sum(dim=-1, keepdim=True)
    return HandTemplate(SHIPPED_NAME, vertices, faces, weights, joints, rotations, regressor, display_faces)
