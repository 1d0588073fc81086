"""Linear blend skinning: the template's surface on a posed skeleton, and its normals.

Every bone carries its vertices with the rotation of the FK layer, stretched along the bone by the ratio of its
length to the template's; thickness follows the size of the hand. Mesh and joints come from the same
frames, so they always agree.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.shapes import check_shape, check_shapes
from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics
from hand_pose_ros.kinematics.mirror import mirror_columns, side_sign
from hand_pose_ros.mesh.template import HandTemplate, load_template

_STARTS = [max(parent, 0) for parent in hand.PARENTS]


def pose_mesh(
    angles: Tensor,
    proportions: Tensor,
    root_rotation: Tensor | None = None,
    root_position: Tensor | None = None,
    anchor_length: float | Tensor = hand.MEAN_ANCHOR_LENGTH_M,
    side: str | Tensor = "right",
) -> Tensor:
    """Vertices (..., V, 3) of a hand, by :func:`forward_kinematics` (same arguments) and :func:`skin`."""
    frames = forward_kinematics(angles, proportions, root_rotation, root_position, anchor_length, side)
    return skin(frames, side)


def skin(
    frames: HandFrames,
    side: str | Tensor = "right",
    template: HandTemplate | None = None,
    thickness: Tensor | None = None,
) -> Tensor:
    """Vertices (..., V, 3) on a posed skeleton, in its unit and frame. Differentiable and batched.

    Args:
        frames: joints (..., 21, 3) and rotations (..., 21, 3, 3), as :func:`forward_kinematics` returns them.
        side: 'left', 'right', or a tensor (...) of +1 (right) and -1 (left): the side the frames are of.
        template: the hand to pose; the shipped one if None.
        thickness: (..., 21) by which factor each bone's flesh is thicker than the template's; 1 if None.

    Raises:
        ValueError: a wrong shape, or an unknown side.
    """
    joints, rotations = frames
    check_shapes(
        ("joints", joints, (hand.NUM_JOINTS, 3)),
        ("rotations", rotations, (hand.NUM_JOINTS, 3, 3)),
        ("side", side, ()),
        ("thickness", thickness, (hand.NUM_JOINTS,)),
    )
    if template is None:
        basis, to_bone, inverse_lengths = _shipped_basis(joints.dtype, joints.device)
    else:
        basis, to_bone, inverse_lengths = _skinning_basis(template)
    sign = side_sign(side, like=joints)

    starts = joints[..., _STARTS, :]
    ratio = (joints - starts).norm(dim=-1) * inverse_lengths
    size = ratio[..., hand.ANCHOR_JOINT, None].expand_as(ratio)
    along = torch.cat((size[..., :1], ratio[..., 1:]), dim=-1)  # the wrist and its stump only scale
    across = size if thickness is None else size * thickness
    stretch = torch.stack((along, across, across), dim=-1)
    linear = mirror_columns(rotations, sign.unsqueeze(-1)) * stretch.unsqueeze(-2)
    # T_out_bone after T_bone_template, as rows: every vertex is one row of the basis times this matrix.
    transforms = to_bone @ linear.transpose(-1, -2)
    transforms = torch.cat((transforms[..., :3, :], transforms[..., 3:, :] + starts.unsqueeze(-2)), dim=-2)
    return basis @ transforms.flatten(-3, -2)


@cache
def _shipped_basis(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    return _skinning_basis(load_template(dtype, device))


def _skinning_basis(template: HandTemplate) -> tuple[Tensor, Tensor, Tensor]:
    """The constants of :func:`skin`.

    Basis (V, 84): each vertex's homogeneous template position times its weight of each bone.
    to_bone (21, 4, 3): T_bone_template of every bone, transposed, for row vectors.
    inverse_lengths (21,): 1 / length of each template bone; the wrist's entry is 0.
    """
    with torch.inference_mode(False):
        homogeneous = torch.cat((template.vertices, torch.ones_like(template.vertices[:, :1])), dim=-1)
        basis = (template.weights[:, :, None] * homogeneous[:, None, :]).flatten(1)
        starts = template.joints[_STARTS]
        offset = -(starts[:, None, :] @ template.rotations)
        lengths = (template.joints - starts).norm(dim=-1)
        inverse_lengths = torch.where(lengths > 0, 1 / lengths.clamp(min=1e-9), torch.zeros_like(lengths))
        to_bone = torch.cat((template.rotations, offset), dim=-2)
    return basis, to_bone, inverse_lengths


def mesh_faces(side: str = "right", device: torch.device | str = "cpu") -> Tensor:
    """Triangles (F, 3) that are counter-clockwise seen from outside: a left hand's are the right's flipped."""
    faces = load_template(device=device).faces
    return faces if hand.check_side(side) == "right" else faces.flip(-1)


def vertex_normals(vertices: Tensor, side: str | Tensor = "right") -> Tensor:
    """Outward unit normals (..., V, 3) of posed vertices (..., V, 3): area-weighted over the triangles around."""
    template_faces, incident = _incidence(vertices.device)
    check_shapes(("vertices", vertices, (len(incident), 3)), ("side", side, ()))
    corners = vertices[..., template_faces, :]
    origin, first, second = corners.unbind(-2)
    face_normals = torch.linalg.cross(first - origin, second - origin)
    padded = torch.cat((face_normals, torch.zeros_like(face_normals[..., :1, :])), dim=-2)
    normals = padded[..., incident, :].sum(dim=-2) * side_sign(side, like=vertices)[..., None, None]
    return normals / normals.norm(dim=-1, keepdim=True).clamp(min=torch.finfo(vertices.dtype).tiny)


@cache
def _incidence(device: torch.device) -> tuple[Tensor, Tensor]:
    """Triangles (F, 3), and for each vertex the triangles around it (V, most), padded with F."""
    template = load_template(device=device)
    with torch.inference_mode(False):
        num_vertices, num_faces = len(template.vertices), len(template.faces)
        corner_vertex = template.faces.flatten()
        order = corner_vertex.argsort(stable=True)
        counts = corner_vertex.bincount(minlength=num_vertices)
        rank = torch.arange(len(order), device=device) - (counts.cumsum(0) - counts)[corner_vertex[order]]
        incident = torch.full((num_vertices, int(counts.max())), num_faces, device=device)
        incident[corner_vertex[order], rank] = order // 3
    return template.faces, incident


def regress_joints(vertices: Tensor) -> Tensor:
    """The 21 joints (..., 21, 3) read off posed vertices (..., V, 3)."""
    regressor = load_template(vertices.dtype, vertices.device).regressor
    check_shape("vertices", vertices, (regressor.shape[-1], 3))
    return regressor @ vertices
