"""Losses of the mesh diffusion network (DiffHand, eq. 6 and 9-13)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from torch import Tensor

from hand_pose_ros.mesh.skinning import regress_joints
from hand_pose_ros.mesh.template import HandTemplate, load_template
from hand_pose_ros.networks.mesh_diffusion.sampling import project_to_crop

_TINY: Final = 1e-6
_NEAREST: Final = 0.3  # anchor lengths: a projection nearer to the camera has no usable gradient


@dataclass(frozen=True)
class MeshLosses:
    """Weights of the loss terms; 0 leaves a term out. The paper's two weights are 1 and, for normals, 0.05.

    diffusion: mean squared error of the network's own vertices, standardised (eq. 6). vertices: mean squared error
        of the whole mesh, anchor lengths (eq. 9). joints: of the joints by the template's regressor (eq. 10).
        joints_2d: of their projections, half extents of the crop (eq. 11). normals: mean absolute cosine between
        the edges and the true normals of their triangles (eq. 12). triangles: number of them, drawn at random for
        each step, that it is computed of; 0 for all.
    """

    diffusion: float = 1.0
    vertices: float = 1.0
    joints: float = 1.0
    joints_2d: float = 1.0
    normals: float = 0.05
    triangles: int = 0

    def __post_init__(self) -> None:
        weights = {name: value for name, value in vars(self).items() if name != "triangles"}
        if min(weights.values()) < 0 or not any(weights.values()) or self.triangles < 0:
            raise ValueError("the weights of the losses must not be negative, nor all 0; nor the triangles")


class MeshTargets(NamedTuple):
    """Truth of n right hands in the axes of their crops, relative to the wrist, in anchor lengths.

    vertices: (n, V, 3). joints: (n, 21, 3). wrist: (n, 3) from the camera. half_extent: (n,) tangent of half the
    crop's angle. weight: (n,) of the labels.
    """

    vertices: Tensor
    joints: Tensor
    wrist: Tensor
    half_extent: Tensor
    weight: Tensor


def mesh_terms(
    mesh: Tensor,
    points: tuple[Tensor, Tensor],
    targets: MeshTargets,
    losses: MeshLosses,
    template: HandTemplate | None = None,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """Return the weighted terms of n predicted meshes.

    Args:
        mesh: (n, V, 3) as in the targets. points: the network's own vertices (n, points, 3), standardised,
            predicted and true.
        generator: on the CPU, draws the triangles; PyTorch's own if None.
    """
    template = template or load_template(mesh.dtype, mesh.device)
    joints = regress_joints(mesh, template)
    faces = template.faces
    if losses.triangles:
        faces = faces[torch.randint(len(faces), (losses.triangles,), generator=generator).to(faces.device)]
    terms = {
        "diffusion": (points[0] - points[1]).square().mean((-2, -1)),
        "vertices": (mesh - targets.vertices).square().sum(-1).mean(-1),
        "joints": (joints - targets.joints).square().sum(-1).mean(-1),
        "joints_2d": _reprojection(joints, targets),
        "normals": normal_consistency(mesh, targets.vertices, faces),
    }
    weight = targets.weight / targets.weight.sum().clamp(min=_TINY)
    return {
        name: getattr(losses, name) * (weight * term).sum()
        for name, term in terms.items()
        if getattr(losses, name)
    }


def normal_consistency(mesh: Tensor, truth: Tensor, faces: Tensor) -> Tensor:
    """Return the mean (n,) of ``|edge . true normal|`` over the triangles' unit edges (eq. 12).

    Args:
        mesh, truth: (n, V, 3). faces: (F, 3).
    """
    corners, true_corners = (
        one.index_select(1, faces.flatten()).unflatten(1, faces.shape) for one in (mesh, truth)
    )
    first, second, third = true_corners.unbind(-2)
    normals = _unit(torch.linalg.cross(second - first, third - first))
    edges = _unit(corners.roll(-1, dims=-2) - corners)
    return (edges * normals[..., None, :]).sum(-1).abs().mean((-2, -1))


def _reprojection(joints: Tensor, targets: MeshTargets) -> Tensor:
    """Return the mean squared error (n,) of projected joints; one too near to the camera is moved away first."""
    wrist, extent = targets.wrist, targets.half_extent
    lowest = _NEAREST - wrist[:, None, 2:]
    joints = torch.cat((joints[..., :2], torch.maximum(joints[..., 2:], lowest)), dim=-1)
    projected = project_to_crop(joints, wrist, extent)
    return (projected - project_to_crop(targets.joints, wrist, extent)).square().sum(-1).mean(-1)


def _unit(vectors: Tensor) -> Tensor:
    """Normalise; vectors of no length stay zero, with a finite gradient."""
    return vectors / (vectors.square().sum(-1, keepdim=True) + 1e-12).sqrt()
