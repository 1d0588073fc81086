"""Converts our hands to MANO's parameters, and poses MANO's mesh by them.

Our bones have frames in MANO's rest pose, so the frames of a posed hand give the rotations of MANO's joints
exactly. Its shape parameters are those whose bones are about as long as the hand's.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.shapes import check_shape
from hand_pose_ros.kinematics.forward import HandFrames
from hand_pose_ros.kinematics.mirror import mirror_across_camera_x
from hand_pose_ros.mesh.mano import MANO_PARENTS, MOVED_BONES, ManoModel
from hand_pose_ros.mesh.skinning import mesh_faces
from hand_pose_ros.pose import HandMesh, HandPose
from hand_pose_ros.rotations import rotation_from_vector, vector_from_rotation

_BONE_SIGMA_M: Final = 1e-3  # how far a bone may be off, against shape parameters of standard deviation 1
_ITERATIONS: Final = 8
_ENDS: Final = tuple(end for _, end in hand.BONES)
_STARTS: Final = tuple(start for start, _ in hand.BONES)


class ManoPose(NamedTuple):
    """MANO's parameters of n right hands, as smplx has them with ``use_pca=False`` and ``flat_hand_mean=True``.

    orientation: (n, 3) rotation vector of the wrist. pose: (n, 45) of the 15 finger joints. shape: (n, B).
    translation: (n, 3) metres, added to the vertices.
    """

    orientation: Tensor
    pose: Tensor
    shape: Tensor
    translation: Tensor


def mano_pose(frames: HandFrames, model: ManoModel) -> ManoPose:
    """Return the parameters of n right hands; the wrist is exact, and all rotations are.

    Args:
        frames: joints (n, 21, 3), metres, and rotations (n, 21, 3, 3), in one frame such as the camera's.

    Raises:
        ValueError: wrong shapes.
    """
    joints, rotations = (one.to(model.vertices) for one in frames)
    check_shape("joints", joints, (hand.NUM_JOINTS, 3))
    check_shape("rotations", rotations, (hand.NUM_JOINTS, 3, 3))
    moved = rotations[:, MOVED_BONES] @ model.rest[list(MOVED_BONES)].mT
    local = moved[:, list(MANO_PARENTS[1:])].mT @ moved[:, 1:]
    shape = fit_shape((joints[:, _ENDS] - joints[:, _STARTS]).norm(dim=-1), model)
    root = model.regressor[hand.WRIST] @ shaped_vertices(shape, model)
    return ManoPose(
        vector_from_rotation(moved[:, 0]),
        vector_from_rotation(local).flatten(1),
        shape,
        joints[:, hand.WRIST] - root,
    )


def fit_shape(lengths_m: Tensor, model: ManoModel) -> Tensor:
    """Return the shape parameters (n, B) of bones (n, 20) of these lengths: most probable with 1 mm of noise."""
    check_shape("lengths", lengths_m, (hand.NUM_BONES,))
    bones = model.regressor[list(_ENDS)] - model.regressor[list(_STARTS)]
    at_rest, by_shape = bones @ model.vertices, torch.einsum("bv,vck->bck", bones, model.shapes)
    count = by_shape.shape[-1]
    shape = lengths_m.new_zeros(len(lengths_m), count)
    for _ in range(_ITERATIONS):
        vectors = at_rest + torch.einsum("bck,nk->nbc", by_shape, shape)
        found = vectors.norm(dim=-1)
        slope = torch.einsum("nbc,bck->nbk", vectors / found[..., None], by_shape) / _BONE_SIGMA_M
        missing = (lengths_m - found) / _BONE_SIGMA_M + (slope @ shape[..., None])[..., 0]
        normal = slope.mT @ slope + torch.eye(count).to(slope)
        shape = torch.linalg.solve(normal, (slope.mT @ missing[..., None])[..., 0])
    return shape


def shaped_vertices(shape: Tensor, model: ManoModel) -> Tensor:
    """Return the vertices (n, 778, 3) at rest of shape parameters (n, B)."""
    return model.vertices + torch.einsum("vck,nk->nvc", model.shapes, shape)


def mano_vertices(pose: ManoPose, model: ManoModel) -> Tensor:
    """Return the vertices (n, 778, 3) of right hands, metres: MANO's layer, with its pose corrections."""
    shaped = shaped_vertices(pose.shape, model)
    names = [0 if bone == 0 else bone - 1 for bone in MOVED_BONES]  # our joints at which its joints are
    joints = (model.regressor @ shaped)[:, names]
    local = rotation_from_vector(torch.cat((pose.orientation[:, None], pose.pose.unflatten(1, (-1, 3))), 1))
    identity = torch.eye(3).to(local)
    bent = shaped + torch.einsum("vcp,np->nvc", model.corrections, (local[:, 1:] - identity).flatten(1))
    turned, placed = [local[:, 0]], [joints[:, 0]]
    for joint, parent in enumerate(MANO_PARENTS[1:], start=1):
        offset = joints[:, joint] - joints[:, parent]
        placed.append(placed[parent] + (turned[parent] @ offset[..., None])[..., 0])
        turned.append(turned[parent] @ local[:, joint])
    rotations, origins = torch.stack(turned, 1), torch.stack(placed, 1)
    shifts = origins - (rotations @ joints[..., None])[..., 0]
    moved = torch.einsum("vj,njcd,nvd->nvc", model.weights, rotations, bent)
    return moved + model.weights @ shifts + pose.translation[:, None]


def mano_mesh(pose: HandPose, model: ManoModel) -> HandMesh:
    """Return MANO's mesh of a valid hand, of either side, in the camera's optical frame.

    MANO's right hand serves both sides: a left hand's mesh is the mirror image of that of the mirrored hand.

    Raises:
        ValueError: the hand is not valid.
    """
    if not pose.valid:
        raise ValueError(f"a hand that is not known has no mesh: {pose.reason}")
    frames = HandFrames(
        *(torch.from_numpy(np.asarray(one, float)) for one in (pose.joints_m, pose.rotations))
    )
    if pose.side == "left":
        frames = HandFrames(*mirror_across_camera_x(*frames))
    of_one = HandFrames(frames.joints[None], frames.rotations[None])
    (vertices,) = mano_vertices(mano_pose(of_one, model), model)
    if pose.side == "left":
        vertices = vertices * vertices.new_tensor((-1.0, 1.0, 1.0))
    return HandMesh(vertices.numpy(), mesh_faces(pose.side, model.template).numpy(), model.template.name)
