"""The template hand that ships with the package: vertices, triangles, skinning weights and joint regressor."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand

TEMPLATE_PATH = Path(__file__).with_name("template.npz")
"""Written by ``hand_pose template``."""
JOINT_DEPTHS_M: Final = (0.020, 0.018, 0.014, 0.012, 0.010) + (0.015, 0.011, 0.010, 0.009) * 4
"""Depth of each joint in the flesh of a hand of mean size: a joint with no more in front of it is visible."""
SLANT: Final = 1.5
"""A slanting ray passes through more flesh, by up to this factor."""


@dataclass(frozen=True)
class HandTemplate:
    """A right hand in its build pose, wrist frame, metres, mean anchor length and proportions.

    vertices: (V, 3). faces: (F, 3) int64, counter-clockwise seen from outside.
    weights: (V, 21), of the wrist and of the bones that end in joints 1-20; rows sum to 1.
    regressor: (21, V); ``regressor @ vertices`` are the joints; rows sum to 1.
    joints, rotations: (21, 3) and (21, 3, 3), the skeleton in the build pose.
    """

    vertices: Tensor
    faces: Tensor
    weights: Tensor
    regressor: Tensor
    joints: Tensor
    rotations: Tensor

    @property
    def bones(self) -> Tensor:
        """(V,) index of the bone (the joint it ends in, 0 for the wrist) that moves each vertex most."""
        return self.weights.argmax(dim=-1)

    def bone_coordinates(self, bone: int) -> Tensor:
        """Vertices (V, 3) in the frame of one bone: x along it from its start, y radial, z dorsal, metres."""
        return (self.vertices - self.joints[max(hand.PARENTS[bone], 0)]) @ self.rotations[bone]


@cache
def load_template(dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> HandTemplate:
    """The shipped template, read once per dtype and device."""
    with np.load(TEMPLATE_PATH) as stored:
        vertices = stored["vertices"]
        weights = np.zeros((len(vertices), hand.NUM_JOINTS))
        np.put_along_axis(weights, stored["weight_bones"].astype(np.int64), stored["weights"], axis=1)
        regressor = np.zeros((hand.NUM_JOINTS, len(vertices)))
        np.put_along_axis(
            regressor, stored["regressor_vertices"].astype(np.int64), stored["regressor"], axis=1
        )
        arrays = (vertices, weights, regressor, stored["joints"], stored["rotations"])
        face_array = stored["faces"].astype(np.int64)
    with torch.inference_mode(False):
        vertices, weights, regressor, joints, rotations = (
            torch.from_numpy(np.ascontiguousarray(array)).to(device, dtype) for array in arrays
        )
        faces = torch.from_numpy(face_array).to(device)
        weights = weights / weights.sum(dim=-1, keepdim=True)
    return HandTemplate(vertices, faces, weights, regressor, joints, rotations)
