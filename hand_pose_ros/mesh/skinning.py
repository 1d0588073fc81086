"""Linear blend skinning: a template's surface on a posed skeleton, its normals, and the mesh of an estimated hand.

Every bone carries its vertices with the rotation of the FK layer, stretched along the bone by the ratio of its
length to the template's; thickness follows the size of the hand. Mesh and joints come from the same
frames, so they always agree.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.shapes import check_shape, check_shapes
from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics
from hand_pose_ros.kinematics.mirror import mirror_columns, side_sign
from hand_pose_ros.mesh.template import BONE_STARTS, HandTemplate, load_template
from hand_pose_ros.pose import HandMesh, HandPose


def pose_mesh(
    angles: Tensor,
    proportions: Tensor,
    root_rotation: Tensor | None = None,
    root_position: Tensor | None = None,
    anchor_length: float | Tensor = hand.MEAN_ANCHOR_LENGTH_M,
    side: str | Tensor = "right",
    template: HandTemplate | None = None,
) -> Tensor:
    """Vertices (..., V, 3) of a hand, by :func:`forward_kinematics` (same arguments) and :func:`skin`."""
    frames = forward_kinematics(angles, proportions, root_rotation, root_position, anchor_length, side)
    return skin(frames, side, template)


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
        template: the hand to pose, of the joints' dtype and device; the shipped one if None.
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
    template = template or load_template(joints.dtype, joints.device)
    basis, to_bone, inverse_lengths = template.skinning_basis
    sign = side_sign(side, like=joints)

    starts = joints[..., BONE_STARTS, :]
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


def hand_mesh(pose: HandPose, template: HandTemplate | None = None) -> HandMesh:
    """The mesh of a valid hand: its own if it carries one, else ``template`` (the shipped one if None), skinned.

    Raises:
        ValueError: the hand is not valid.
    """
    if pose.mesh is not None:
        return pose.mesh
    if not pose.valid:
        raise ValueError(f"a hand that is not known has no mesh: {pose.reason}")
    template = template or load_template()
    joints, rotations = (
        torch.from_numpy(part).to(template.vertices) for part in (pose.joints_m, pose.rotations)
    )
    vertices = skin(HandFrames(joints, rotations), pose.side, template)
    return HandMesh(vertices.cpu().numpy(), mesh_faces(pose.side, template).cpu().numpy(), template.name)


def build_pose_vertices(template: HandTemplate) -> Tensor:
    """Vertices (V, 3) in the shipped template's build pose: wrist frame, metres, mean size."""
    shipped = load_template(template.vertices.dtype, template.vertices.device)
    if template is shipped:
        return shipped.vertices
    return skin(HandFrames(shipped.joints, shipped.rotations), "right", template)


def mesh_faces(side: str = "right", template: HandTemplate | None = None) -> Tensor:
    """Triangles (F, 3) that are counter-clockwise seen from outside: a left hand's are the right's flipped."""
    faces = (template or load_template()).faces
    return faces if hand.check_side(side) == "right" else faces.flip(-1)


def vertex_normals(
    vertices: Tensor, side: str | Tensor = "right", template: HandTemplate | None = None
) -> Tensor:
    """Outward unit normals (..., V, 3) of posed vertices (..., V, 3): area-weighted over the triangles around."""
    template = template or load_template(device=vertices.device)
    incident = template.incident_faces
    check_shapes(("vertices", vertices, (len(incident), 3)), ("side", side, ()))
    corners = vertices[..., template.faces, :]
    origin, first, second = corners.unbind(-2)
    face_normals = torch.linalg.cross(first - origin, second - origin)
    padded = torch.cat((face_normals, torch.zeros_like(face_normals[..., :1, :])), dim=-2)
    normals = padded[..., incident, :].sum(dim=-2) * side_sign(side, like=vertices)[..., None, None]
    return normals / normals.norm(dim=-1, keepdim=True).clamp(min=torch.finfo(vertices.dtype).tiny)


def regress_joints(vertices: Tensor, template: HandTemplate | None = None) -> Tensor:
    """The 21 joints (..., 21, 3) read off posed vertices (..., V, 3).

    Raises:
        ValueError: a wrong shape, or a template without a regressor.
    """
    template = template or load_template(vertices.dtype, vertices.device)
    if template.regressor is None:
        raise ValueError(f"the template {template.name!r} has no joint regressor")
    check_shape("vertices", vertices, (template.regressor.shape[-1], 3))
    return template.regressor @ vertices
