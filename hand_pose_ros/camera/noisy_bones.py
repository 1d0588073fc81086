"""Root depth of a 2.5D pose whose noise is known: each bone counts as much as its length is certain.

The plain least squares over all bones (:func:`~hand_pose_ros.camera.root_depth.root_from_bones`) weigh a bone by
its length. Here the weight is the inverse variance of the bone's misfit: the noise of its two ends, which depends
on the bone's direction, and the spread of its proportion among people. A bone along the ray, whose length rests on
relative depths, counts little where these are noisier than the image points.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.root_depth import root_from_bones
from hand_pose_ros.camera.solved_root import RootSolution
from hand_pose_ros.common.shapes import check_shapes

PROPORTION_SPREAD: Final = tuple((most - least) / 5 for least, _, most in hand.PROPORTIONS)
"""Standard deviation of each bone's proportion: the range holds nearly all adults. Zero for the anchor bone."""
_MOST_STEPS: Final = 8
_SETTLED: Final = 1e-3  # size of the last step, relative to the depth
_NEAREST: Final = 0.1  # of the depth before: no step goes farther


def root_from_noisy_bones(
    points: Tensor, relative_depths: Tensor, bone_lengths: Tensor, sigma: Tensor, depth_sigma: Tensor
) -> RootSolution:
    """Solve for the depth at which the bones best match their lengths, each in its standard deviations.

    Minimises ``sum_b (|bone b at depth Z| - length_b)^2 / variance_b`` by Gauss-Newton steps, with the variances
    of the last step's depth. It starts from the plain least squares, whose validity, condition and residual it
    keeps, and whose depth it returns where the steps do not settle or a joint is missing.

    Args:
        points: (..., 21, 2) undistorted normalised image points. NaN marks a missing joint.
        relative_depths: (..., 21) depths relative to the wrist, anchor lengths.
        bone_lengths: (..., 20) in ``hand.BONES`` order, anchor lengths.
        sigma: (..., 21) standard deviation of each coordinate of a point, normalised.
        depth_sigma: (..., 21) that of the depths, anchor lengths.

    Raises:
        ValueError: an argument has the wrong shape.
    """
    check_shapes(
        ("points", points, (hand.NUM_JOINTS, 2)),
        ("relative_depths", relative_depths, (hand.NUM_JOINTS,)),
        ("bone_lengths", bone_lengths, (hand.NUM_BONES,)),
        ("sigma", sigma, (hand.NUM_JOINTS,)),
        ("depth_sigma", depth_sigma, (hand.NUM_JOINTS,)),
    )
    start = root_from_bones(points, relative_depths, bone_lengths)
    parents, children = (list(ends) for ends in zip(*hand.BONES, strict=True))
    rays = torch.cat((points, torch.ones_like(points[..., :1])), dim=-1)
    slope = rays[..., children, :] - rays[..., parents, :]
    of_people = points.new_tensor(PROPORTION_SPREAD).square()

    depth, settled = start.depth, torch.zeros_like(start.depth, dtype=torch.bool)
    for _ in range(_MOST_STEPS):
        joints = rays * (depth[..., None] + relative_depths)[..., None]
        bones = joints[..., children, :] - joints[..., parents, :]
        lengths = bones.norm(dim=-1).clamp(min=torch.finfo(points.dtype).tiny)
        along = bones / lengths[..., None]
        variance = _of_ends(sigma * depth[..., None], parents, children) * along[..., :2].square().sum(-1)
        variance = variance + _of_ends(depth_sigma, parents, children) * along[..., 2].square() + of_people
        weights = 1 / variance.clamp(min=torch.finfo(points.dtype).eps)
        change = (along * slope).sum(-1)
        step = (weights * (lengths - bone_lengths) * change).sum(-1) / (weights * change.square()).sum(-1)
        nearer = torch.maximum(depth - step, _NEAREST * depth)
        last = (nearer - depth).abs() <= _SETTLED * nearer
        depth = torch.where(settled, depth, nearer)  # a pose stops for itself, whatever the others do
        settled = settled | last
        if bool((settled | depth.isnan()).all()):
            break
    settled = settled & (depth + relative_depths.amin(-1) > 0)
    depth = torch.where(settled, depth, start.depth)
    return start._replace(position=rays[..., hand.WRIST, :] * depth[..., None])


def _of_ends(sigma: Tensor, parents: list[int], children: list[int]) -> Tensor:
    """Sum of the variances (..., 20) of a bone's two ends."""
    return sigma[..., parents].square() + sigma[..., children].square()
