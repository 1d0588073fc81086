"""Root depth of a 2.5D pose by the closed form of one bone and by least squares over all, in either order.

The closed form (heatmap_25d eq. 5-7) needs no bone length but that of the anchor bone, which is 1 by definition:
a hand of any proportions is solved exactly. It fails where the anchor bone nearly points at the camera, and the
noise of two joints is wholly in it. The least squares over all bones assume mean proportions.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.noisy_bones import root_from_noisy_bones
from hand_pose_ros.camera.root_depth import root_from_bone, root_from_bones
from hand_pose_ros.camera.solved_root import RootSolution


class ChosenRoot(NamedTuple):
    """The solution of each pose, and which of the two forms gave it.

    closed_form: (...) bool, whether ``solution`` is that of the closed form, which is valid then; elsewhere it is
    that of the least squares, valid or not.
    """

    solution: RootSolution
    closed_form: Tensor

    @property
    def least_squares(self) -> Tensor:
        """(...) bool, whether the least squares gave a valid solution."""
        return self.solution.valid & ~self.closed_form


def root_closed_form_first(
    points: Tensor,
    relative_depths: Tensor,
    proportions: Tensor | None = None,
    bone: int = hand.ANCHOR_BONE,
) -> ChosenRoot:
    """Solve scale-normalised 2.5D poses; the closed form's own validity decides where the least squares take over.

    Args:
        points: (..., 21, 2) undistorted normalised image points. NaN marks a missing joint.
        relative_depths: (..., 21) depths relative to the wrist, in lengths of the bone.
        proportions: (..., 20) bone lengths in any unit for the least squares; the mean ones if None.
        bone: index in ``hand.BONES`` of the bone whose length is 1 (eq. 2), by default the anchor bone.

    Returns:
        Wrists in lengths of the bone.

    Raises:
        ValueError: an argument has the wrong shape, or there is no such bone.
    """
    closed = root_from_bone(points, relative_depths, bone=bone)
    rest = ~closed.valid
    if not bool(rest.any()):
        return ChosenRoot(closed, closed.valid)
    proportions = _mean_proportions(points) if proportions is None else proportions.to(points)
    lengths = proportions / proportions[..., bone, None]
    lengths = lengths.expand(*relative_depths.shape[:-1], hand.NUM_BONES)
    other = root_from_bones(points[rest], relative_depths[rest], lengths[rest])
    merged = (_replaced(old, rest, new) for old, new in zip(closed, other, strict=True))
    return ChosenRoot(RootSolution(*merged), closed.valid)


def root_all_bones_first(
    points: Tensor, relative_depths: Tensor, sigma: Tensor, depth_sigma: Tensor
) -> ChosenRoot:
    """Solve 2.5D poses of known noise by all bones; the closed form takes over where these are not valid.

    Args:
        points, relative_depths: as for :func:`root_closed_form_first`, in lengths of the anchor bone.
        sigma, depth_sigma: (..., 21) as for :func:`~hand_pose_ros.camera.noisy_bones.root_from_noisy_bones`.

    Returns:
        Wrists in anchor lengths.

    Raises:
        ValueError: an argument has the wrong shape.
    """
    lengths = _mean_proportions(points).expand(*relative_depths.shape[:-1], hand.NUM_BONES)
    squares = root_from_noisy_bones(points, relative_depths, lengths, sigma, depth_sigma)
    rest = ~squares.valid
    if not bool(rest.any()):
        return ChosenRoot(squares, rest)
    closed = root_from_bone(points[rest], relative_depths[rest])
    taken = rest.clone()
    taken[rest] = closed.valid
    if not bool(taken.any()):
        return ChosenRoot(squares, taken)
    chosen = (one[closed.valid] for one in closed)
    merged = (_replaced(old, taken, new) for old, new in zip(squares, chosen, strict=True))
    return ChosenRoot(RootSolution(*merged), taken)


def _mean_proportions(like: Tensor) -> Tensor:
    return like.new_tensor([mean for _, mean, _ in hand.PROPORTIONS])


def _replaced(old: Tensor, rest: Tensor, new: Tensor) -> Tensor:
    """``old`` (..., k) with ``new`` (m, k) in the m places of ``rest`` (...)."""
    mask = rest.reshape((*rest.shape, *[1] * (old.ndim - rest.ndim))).expand_as(old)
    return torch.masked_scatter(old, mask, new.to(old))
