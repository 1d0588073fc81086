"""Builds the template hand from the skeleton: ``hand_pose template``."""

from __future__ import annotations

import argparse
import logging
import math
from pathlib import Path

import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.mesh.farthest_points import ORDER_PATH, save_order
from hand_pose_ros.mesh.shape import BUILD_POSE_DEG, BUILD_PROPORTIONS, HandShape, build_frames
from hand_pose_ros.mesh.simplification import simplified_faces
from hand_pose_ros.mesh.skinning import skin
from hand_pose_ros.mesh.surface import mesh_surface
from hand_pose_ros.mesh.template import SHIPPED_NAME, TEMPLATE_PATH, HandTemplate
from hand_pose_ros.mesh.weights import MAX_BONES_PER_VERTEX, joint_regressor, skinning_weights

_POSED_EXAMPLES = 400
_DISPLAY_FACES = 1000
_BENT_DEG = 65.0
_RANGE_DEG = {"flexion": (-30, 100), "abduction": (-30, 30), "twist": (-25, 25)}
logger = logging.getLogger(__name__)


def build_template() -> dict[str, np.ndarray]:
    """The arrays of the template file. Deterministic, up to rounding."""
    frames = build_frames()
    vertices_mm, faces = mesh_surface(HandShape())
    vertices = (vertices_mm * 1e-3).astype(np.float32)
    weights = skinning_weights(vertices_mm, faces, frames)
    regressor = _regressor(vertices, faces, weights)

    bones = np.argsort(-weights, axis=1, kind="stable")[:, :MAX_BONES_PER_VERTEX]
    support = np.argsort(regressor == 0, axis=1, kind="stable")[:, : (regressor != 0).sum(axis=1).max()]
    return {
        "vertices": vertices,
        "faces": faces.astype(np.uint16),
        "display_faces": _display_faces(vertices, faces, weights).astype(np.uint16),
        "weight_bones": bones.astype(np.uint8),
        "weights": np.take_along_axis(weights, bones, axis=1).astype(np.float32),
        "regressor_vertices": support.astype(np.uint16),
        "regressor": np.take_along_axis(regressor, support, axis=1),
        "joints": frames.joints.numpy(),
        "rotations": frames.rotations.numpy(),
    }


def _display_faces(vertices: np.ndarray, faces: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The simplified surface (F', 3), which is close to the full one in the build pose, straight and bent."""
    template = _bare_template(vertices, faces, weights)
    proportions = torch.tensor([BUILD_PROPORTIONS[name] for name in hand.BONE_NAMES], dtype=torch.float64)
    angles = torch.zeros(2, hand.NUM_ANGLES, dtype=torch.float64)
    for index, angle in enumerate(hand.ANGLES):
        if angle.motion == "flexion" and angle not in hand.OFFSET_ANGLES:
            angles[1, index] = math.radians(_BENT_DEG)
    frames = forward_kinematics(angles, proportions.expand(2, -1), anchor_length=hand.MEAN_ANCHOR_LENGTH_M)
    posed_mm = np.concatenate((vertices[None], skin(frames, template=template).numpy())) * 1e3
    return simplified_faces(posed_mm, faces, _DISPLAY_FACES)


def _regressor(vertices: np.ndarray, faces: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The joint regressor (21, V), fitted to random hands."""
    template = _bare_template(vertices, faces, weights)
    posed_angles, posed_proportions = _examples()
    posed = forward_kinematics(posed_angles, posed_proportions, anchor_length=hand.MEAN_ANCHOR_LENGTH_M)
    posed_vertices = skin(posed, template=template)
    return joint_regressor(
        vertices.astype(np.float64), template.joints.numpy(), posed_vertices.numpy(), posed.joints.numpy()
    )


def _bare_template(vertices: np.ndarray, faces: np.ndarray, weights: np.ndarray) -> HandTemplate:
    """The template, float64, without what is derived from it."""
    frames = build_frames()
    return HandTemplate(
        SHIPPED_NAME,
        *(torch.from_numpy(np.asarray(a, np.float64)) for a in (vertices, faces, weights)),
        joints=frames.joints,
        rotations=frames.rotations,
    )


def _examples() -> tuple[torch.Tensor, torch.Tensor]:
    """Angles (P, 38) and proportions (P, 20) that cover every hand, and do not move when a limit is tuned."""
    low, high = [], []
    for angle in hand.ANGLES:
        if angle in hand.OFFSET_ANGLES:
            build = BUILD_POSE_DEG.get(angle.name, 0.0)
            low, high = [*low, build - 15], [*high, build + 15]
        else:
            low, high = [*low, _RANGE_DEG[angle.motion][0]], [*high, _RANGE_DEG[angle.motion][1]]
    low, high = (torch.tensor(values, dtype=torch.float64).deg2rad() for values in (low, high))
    build = torch.tensor([BUILD_PROPORTIONS[name] for name in hand.BONE_NAMES], dtype=torch.float64)
    generator = torch.Generator().manual_seed(Seed.ARBITRARY)
    shares = torch.rand(_POSED_EXAMPLES, hand.NUM_ANGLES, generator=generator, dtype=torch.float64)
    lengths = torch.rand(_POSED_EXAMPLES, hand.NUM_BONES, generator=generator, dtype=torch.float64)
    return low + shares * (high - low), build * (0.75 + 0.6 * lengths)


def main(arguments: list[str] | None = None) -> None:
    """Write the template hand, built from the skeleton."""
    parser = argparse.ArgumentParser(prog="hand_pose template", description=main.__doc__)
    parser.add_argument("--output", type=Path, default=TEMPLATE_PATH)
    output = parser.parse_args(arguments).output
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arrays = build_template()
    np.savez_compressed(output, **arrays)
    save_order(arrays["vertices"], output.with_name(ORDER_PATH.name))
    logger.info("%s: %d vertices, %d triangles", output, len(arrays["vertices"]), len(arrays["faces"]))
