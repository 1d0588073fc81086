"""A file as MANO's makers publish theirs, of a mesh of our own: 778 of the template's vertices."""

from __future__ import annotations

import pickle
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import scipy.sparse
import torch

from hand_pose_ros import hand
from hand_pose_ros.kinematics.forward import HandFrames
from hand_pose_ros.mesh.mano import MANO_JOINTS, MANO_PARENTS, MOVED_BONES, NUM_VERTICES, TIP_VERTICES
from hand_pose_ros.mesh.skinning import skin
from hand_pose_ros.mesh.template import HandTemplate, load_template
from hand_pose_ros.pose import HandPose
from hand_pose_ros.rotations import rotation_from_vector

# Fingers along -x, the back of the hand along y, as in MANO's rest pose; columns are our wrist's axes.
AXES = np.array(((-1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 0.0)))
ORIGIN_M = np.array((0.0957, 0.0064, 0.0062))
LONGER_M = 0.04  # by which the second shape parameter lengthens the fingers, as a share


def mano_arrays(side: str = "right") -> dict[str, np.ndarray]:
    """The arrays of the file, at rest in the template's build pose.

    The first shape parameter makes the hand 5 % larger, the second its finger bones 4 % longer.
    """
    template = load_template(torch.float64)
    assert template.display_faces is not None
    shown = np.unique(template.display_faces.numpy())
    others = np.setdiff1d(np.arange(len(template.vertices)), shown)
    chosen = np.concatenate((shown, others[: NUM_VERTICES - len(shown)]))
    rest = template.vertices.numpy()
    for tip, place in zip(hand.FINGERTIPS, TIP_VERTICES, strict=True):
        nearest = np.linalg.norm(rest[chosen] - template.joints[tip].numpy(), axis=1).argmin()
        chosen[[place, nearest]] = chosen[[nearest, place]]
    place_of = np.full(len(rest), -1)
    place_of[chosen] = np.arange(NUM_VERTICES)
    vertices, weights = rest[chosen], template.weights.numpy()[chosen]
    of_joints = weights[:, MOVED_BONES]
    of_joints[:, 0] = weights[:, [0, *hand.LEVELS[0]]].sum(1)
    names = [hand.JOINT_INDEX[name] for name in MANO_JOINTS]
    larger = 0.05 * vertices
    factors = np.ones(hand.NUM_JOINTS)
    factors[[joint for level in hand.LEVELS[1:] for joint in level]] += LONGER_M
    longer = skin(
        _lengthened(template.joints, template.rotations, torch.from_numpy(factors)), "right", template
    )
    longer = longer.numpy()[chosen] - vertices
    random = np.random.default_rng(0)
    mirror = np.diag((-1.0 if side == "left" else 1.0, 1.0, 1.0)) @ AXES
    return {
        "v_template": vertices @ mirror.T + ORIGIN_M * (1 if side == "right" else (-1, 1, 1)),
        "f": _all_faces(place_of[template.display_faces.numpy()], vertices).astype(np.uint32),
        "weights": of_joints,
        "shapedirs": np.einsum("ij,vjk->vik", mirror, np.stack((larger, longer), -1)),
        "posedirs": 1e-4 * random.standard_normal((NUM_VERTICES, 3, 135)),
        "J_regressor": _regressor(vertices, template.joints.numpy()[names]),
        "kintree_table": np.array((MANO_PARENTS, range(len(MANO_JOINTS)))).astype(np.uint32),
    }


def write_npz(path: Path, **changes: Any) -> Path:
    """Write the arrays as ``.npz``; changes replace some, None leaves one out."""
    arrays = {name: one for name, one in {**mano_arrays(), **changes}.items() if one is not None}
    np.savez(path, **arrays)
    return path


def write_pickle(path: Path, protocol: int = 2, arrays: dict[str, Any] | None = None) -> Path:
    """Write the arrays as the makers' pickle: a sparse matrix of SciPy, and arrays of a library ``chumpy``."""
    arrays = dict(arrays or mano_arrays())
    chumpy, reordering = ModuleType("chumpy.ch"), ModuleType("chumpy.reordering")

    class Ch:
        def __init__(self, **content: Any) -> None:
            self.__dict__.update(content)

    class Select(Ch): ...

    for module, kind in ((chumpy, Ch), (reordering, Select)):
        kind.__module__, kind.__qualname__ = module.__name__, kind.__name__
        setattr(module, kind.__name__, kind)
    modules = {"chumpy": ModuleType("chumpy"), "chumpy.ch": chumpy, "chumpy.reordering": reordering}
    shapes = arrays["shapedirs"]
    doubled = np.concatenate((np.zeros(7), shapes.ravel()))
    arrays["shapedirs"] = Select(
        a=Ch(x=doubled, _dirty_vars=set()), idxs=7 + np.arange(shapes.size), preferred_shape=shapes.shape
    )
    arrays["v_template"] = Ch(x=arrays["v_template"], _status="new")
    arrays["J_regressor"] = scipy.sparse.csc_matrix(arrays["J_regressor"])
    arrays["bs_style"] = "lbs"
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        path.write_bytes(pickle.dumps(arrays, protocol=protocol))
    finally:
        for name, module in before.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module
    return path


def _lengthened(joints: torch.Tensor, rotations: torch.Tensor, factors: torch.Tensor) -> HandFrames:
    """The skeleton with bones longer by factors (21,), in the same directions."""
    moved = joints.clone()
    for start, end in hand.BONES:
        moved[end] = moved[start] + factors[end] * (joints[end] - joints[start])
    return HandFrames(moved, rotations)


def _all_faces(faces: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """The faces, and one for each vertex that has none, with the two nearest vertices that have."""
    used = np.unique(faces)
    others = np.setdiff1d(np.arange(len(vertices)), used)
    distance = np.linalg.norm(vertices[others, None] - vertices[used], axis=-1)
    near = used[distance.argsort(axis=1)[:, :2]]
    return np.concatenate((faces, np.column_stack((others, near))))


def _regressor(vertices: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Weights (n, V) of sum 1 of the nearest vertices that give the joints (n, 3)."""
    weights = np.zeros((len(joints), len(vertices)))
    for row, joint in enumerate(joints):
        near = np.linalg.norm(vertices - joint, axis=1).argsort()[:40]
        equations = np.concatenate((vertices[near].T, np.ones((1, len(near)))))
        weights[row, near] = np.linalg.lstsq(equations, np.append(joint, 1.0), rcond=None)[0]
    return weights


def posed_frames(template: HandTemplate, size: float = 1.0) -> HandFrames:
    """A hand of the template's lengths, times the size, with bent fingers in front of a camera; right, float64."""
    template = replace(template, joints=template.joints.double(), rotations=template.rotations.double())
    generator = torch.Generator().manual_seed(3)
    rotations, joints = template.rotations.clone(), torch.zeros_like(template.joints)
    turn = rotation_from_vector(torch.tensor((0.4, -1.2, 0.7), dtype=torch.float64))
    rotations[0] = turn @ template.rotations[0]
    joints[0] = torch.tensor((0.05, -0.02, 0.4), dtype=torch.float64)
    for start, end in hand.BONES:
        bend = torch.zeros(3, dtype=torch.float64)
        if end not in hand.LEVELS[0]:
            bend = torch.rand(3, generator=generator, dtype=torch.float64) * torch.tensor((0.1, 0.6, 0.2))
        rest = template.rotations[start].mT @ template.rotations[end]
        rotations[end] = rotations[start] @ rest @ rotation_from_vector(bend)
        length = size * (template.joints[end] - template.joints[start]).norm()
        joints[end] = joints[start] + length * rotations[end, :, 0]
    return HandFrames(joints, rotations)


def hand_pose(frames: HandFrames, side: str = "right") -> HandPose:
    """A valid pose of these frames, without an uncertainty."""
    length = float((frames.joints[hand.ANCHOR_JOINT] - frames.joints[0]).norm())
    return HandPose(
        side=side,
        score=1.0,
        joints_m=frames.joints.numpy(),
        rotations=frames.rotations.numpy(),
        angles_rad=np.zeros(hand.NUM_ANGLES),
        proportions=np.ones(hand.NUM_BONES),
        anchor_length_m=length,
        covariance_m2=np.full((hand.NUM_JOINTS, 3, 3), np.nan),
        wrist_covariance=np.full((6, 6), np.nan),
    )
