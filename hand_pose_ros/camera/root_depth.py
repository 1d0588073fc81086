"""Root depth from a 2.5D pose: the quadratic over one bone (heatmap_25d eq. 3-7), least squares over all bones.

A 2.5D pose is the undistorted normalised image point (x, y) = (X/Z, Y/Z) of each joint and its depth relative to
the wrist. With Z the depth of the wrist, joint i is at ``(Z + z_i) (x_i, y_i, 1)``, and any bone of
known length determines Z. All lengths have one unit: the anchor bone for scale-normalised poses, or metres.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.solved_root import (
    MAX_CONDITION,
    Reason,
    RootSolution,
    checked_solution,
    present_joints,
)
from hand_pose_ros.common.shapes import check_shapes

_POINTS: Final = (hand.NUM_JOINTS, 2)
_DEPTHS: Final = (hand.NUM_JOINTS,)

_MAX_STEPS: Final = 20  # three to five are usual
_CONVERGED: Final = 1e-6  # size of the last step, relative to the depth
_SETTLED: Final = 1e-3  # the same, above which there is no solution
_AS_GOOD: Final = (
    0.01  # of the mean bone length: two depths whose misfits differ by less cannot be told apart
)
_APART: Final = 0.05  # relative difference from which two depths count as different


def root_from_bone(
    points: Tensor,
    relative_depths: Tensor,
    bone_length: float | Tensor = 1.0,
    bone: int = hand.ANCHOR_BONE,
    max_condition: float = MAX_CONDITION,
) -> RootSolution:
    """The closed form over one bone, by default wrist -> index MCP: the quadratic of eq. 6 and its root, eq. 7.

    (The paper's b lacks a factor of 2, which its eq. 7 needs.) Where the bone nearly points at the camera both
    roots may lie in front of it, and the paper's choice is a guess: such a solution is AMBIGUOUS, not valid.

    Args:
        points: (..., 21, 2) undistorted normalised image points. NaN marks a missing joint.
        relative_depths: (..., 21) depths relative to the wrist.
        bone_length: length of the bone, a number or (...): 1 for the anchor bone of a scale-normalised pose.
        bone: index in ``hand.BONES``.
        max_condition: above this a solution is not valid.

    Raises:
        ValueError: an argument has the wrong shape, or there is no such bone.
    """
    if not 0 <= bone < hand.NUM_BONES:
        raise ValueError(f"bone must be an index from 0 to {hand.NUM_BONES - 1}, got {bone}")
    check_shapes(
        ("points", points, _POINTS),
        ("relative_depths", relative_depths, _DEPTHS),
        ("bone_length", bone_length, ()),
    )
    weights, present = present_joints(None, points, relative_depths[..., None])
    points, relative_depths = _without_missing(points, relative_depths, present)
    lines = _bone_lines(points, relative_depths, [bone])
    length = torch.as_tensor(bone_length, dtype=points.dtype, device=points.device)
    a, b, c = (value[..., 0] for value in _quadratic(lines, length[..., None]))
    discriminant = b * b - 4 * a * c
    tiny = torch.finfo(points.dtype).tiny
    usable = (discriminant > 0) & (a > tiny) & (length > 0)
    root = torch.where(usable, discriminant, torch.ones_like(discriminant)).sqrt()
    a = torch.where(usable, a, torch.ones_like(a))
    # Each of the two solutions in the form that does not cancel.
    q = -0.5 * (b + torch.where(b < 0, -root, root))
    over_a, under_c = q / a, c / torch.where(q == 0, torch.full_like(q, tiny), q)
    far, near = torch.maximum(over_a, under_c), torch.minimum(over_a, under_c)

    ends = present[..., list(hand.BONES[bone])].all(-1) & present[..., hand.WRIST]
    lowest = _lowest_depth(relative_depths, present)
    depth = torch.where(usable, far, torch.ones_like(far))
    condition = _condition(depth.detach(), lines, torch.ones_like(a)[..., None], weights, [bone])
    checks = (
        (~ends, Reason.TOO_FEW_JOINTS),
        (~(length > 0), Reason.NO_SOLUTION),
        (~usable & (discriminant >= 0), Reason.ILL_CONDITIONED),
        (~usable, Reason.NO_SOLUTION),
        (far + lowest <= 0, Reason.BEHIND_CAMERA),
        (near + lowest > 0, Reason.AMBIGUOUS),
        (~(condition <= max_condition), Reason.ILL_CONDITIONED),
    )
    residual = (_lengths(depth, lines)[0][..., 0] - length).abs()
    return checked_solution(_wrist(points, depth), condition, residual.detach(), checks)


def root_from_bones(
    points: Tensor,
    relative_depths: Tensor,
    bone_lengths: Tensor,
    weights: Tensor | None = None,
    max_condition: float = MAX_CONDITION,
) -> RootSolution:
    """Solve for the depth at which all bones best match their known lengths, by least squares.

    Minimises ``sum_b w_b length_b (|bone b at depth Z| - length_b)^2``. The start is the best, by absolute error,
    of all bones' own closed forms, so that a bone that points at the camera cannot choose the wrong one of two.

    Args:
        points: (..., 21, 2) undistorted normalised image points. NaN marks a missing joint; the wrist is needed.
        relative_depths: (..., 21) depths relative to the wrist.
        bone_lengths: (..., 20) in ``hand.BONES`` order: the proportions, for a scale-normalised pose.
        weights: (..., 21) of the joints, 1 if None; joints of zero (or NaN) weight are missing.
        max_condition: above this a solution is not valid.

    Raises:
        ValueError: an argument has the wrong shape.
    """
    check_shapes(
        ("points", points, _POINTS),
        ("relative_depths", relative_depths, _DEPTHS),
        ("bone_lengths", bone_lengths, (hand.NUM_BONES,)),
        ("weights", weights, _DEPTHS),
    )
    weights, present = present_joints(weights, points, relative_depths[..., None])
    points, relative_depths = _without_missing(points, relative_depths, present)
    bones = list(range(hand.NUM_BONES))
    lines = _bone_lines(points, relative_depths, bones)
    known = bone_lengths.isfinite() & (bone_lengths > 0)
    bone_lengths = torch.where(known, bone_lengths, torch.ones_like(bone_lengths)).to(points)
    # Noise makes bones look longer, short ones the most: by their length, they weigh less.
    bone_weights = _bone_weights(weights) * bone_lengths * known
    lowest = _lowest_depth(relative_depths, present)

    with torch.no_grad():
        depth, found, ambiguous = _best_candidate(
            _quadratic(lines, bone_lengths), bone_lengths, bone_weights, lowest
        )
        for _ in range(_MAX_STEPS):
            slope = _misfit_slope(depth, lines, bone_lengths, bone_weights)
            step = slope.first / slope.gauss_newton
            depth = depth - step
            if not bool((step.abs() > _CONVERGED * depth.abs()).any()):
                break
    # The solution is where the first derivative is zero; one step by the true second derivative, held constant,
    # leaves it there and carries its exact derivative with respect to the input.
    slope = _misfit_slope(depth, lines, bone_lengths, bone_weights)
    settled = (slope.first.abs() <= _SETTLED * depth.abs() * slope.gauss_newton) & (slope.second > 0)
    depth = depth - slope.first / torch.where(settled, slope.second, slope.gauss_newton).detach()

    total = bone_weights.sum(-1)
    squared = bone_weights * (_lengths(depth.detach(), lines)[0] - bone_lengths).square()
    residual = (squared.sum(-1) / total).sqrt()
    condition = _condition(depth.detach(), lines, bone_weights, weights, bones)
    checks = (
        (~present[..., hand.WRIST] | (total <= 0), Reason.TOO_FEW_JOINTS),
        (~found | ~settled, Reason.NO_SOLUTION),
        (depth + lowest <= 0, Reason.BEHIND_CAMERA),
        (ambiguous, Reason.AMBIGUOUS),
        (~(condition <= max_condition), Reason.ILL_CONDITIONED),
    )
    return checked_solution(_wrist(points, depth), condition, residual.detach(), checks)


def joints_from_depths(points: Tensor, relative_depths: Tensor, root_depth: Tensor) -> Tensor:
    """Joints (..., 21, 3) in the camera frame: ``(Z + z_i) (x_i, y_i, 1)`` (eq. 1), in the unit of the depths."""
    check_shapes(
        ("points", points, _POINTS),
        ("relative_depths", relative_depths, _DEPTHS),
        ("root_depth", root_depth, ()),
    )
    rays = torch.cat((points, torch.ones_like(points[..., :1])), dim=-1)
    return rays * (root_depth[..., None] + relative_depths)[..., None]


class _BoneLines(NamedTuple):
    """Bones as lines in the unknown depth: bone b is the vector ``(Z slope_b + offset_b, step_b)``.

    slope, offset: (..., B, 2); step: (..., B); parents, children: (..., B) relative depths of a bone's two ends.
    """

    slope: Tensor
    offset: Tensor
    step: Tensor
    parents: Tensor
    children: Tensor


def _bone_lines(points: Tensor, relative_depths: Tensor, bones: list[int]) -> _BoneLines:
    first, last = _ends(bones)
    parents, children = relative_depths[..., first], relative_depths[..., last]
    offset = points[..., last, :] * children[..., None] - points[..., first, :] * parents[..., None]
    return _BoneLines(
        points[..., last, :] - points[..., first, :], offset, children - parents, parents, children
    )


def _ends(bones: list[int]) -> tuple[list[int], list[int]]:
    return [hand.BONES[bone][0] for bone in bones], [hand.BONES[bone][1] for bone in bones]


def _quadratic(lines: _BoneLines, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """a, b, c (..., B) of eq. 6: ``a Z^2 + b Z + c`` is the squared length at depth Z, less the known one."""
    return (
        lines.slope.square().sum(-1),
        2 * (lines.slope * lines.offset).sum(-1),
        lines.offset.square().sum(-1) + lines.step.square() - lengths.square(),
    )


def _lengths(depth: Tensor, lines: _BoneLines) -> tuple[Tensor, Tensor, Tensor]:
    """Lengths (..., B) at depth (...), their derivatives by it (..., B), and sideways parts (..., B, 2)."""
    sideways = depth[..., None, None] * lines.slope + lines.offset
    squared = sideways.square().sum(-1) + lines.step.square()
    lengths = squared.clamp(min=torch.finfo(squared.dtype).tiny).sqrt()
    return lengths, (sideways * lines.slope).sum(-1) / lengths, sideways


class _Slope(NamedTuple):
    """Derivatives (...) of half the weighted squared misfit by the depth; one also without its bending part."""

    first: Tensor
    second: Tensor
    gauss_newton: Tensor


def _misfit_slope(depth: Tensor, lines: _BoneLines, bone_lengths: Tensor, weights: Tensor) -> _Slope:
    lengths, change, _ = _lengths(depth, lines)
    misfit = lengths - bone_lengths
    bend = (lines.slope.square().sum(-1) - change.square()) / lengths
    gauss_newton = (weights * change.square()).sum(-1).clamp(min=torch.finfo(depth.dtype).tiny)
    return _Slope(
        (weights * misfit * change).sum(-1), gauss_newton + (weights * misfit * bend).sum(-1), gauss_newton
    )


def _best_candidate(
    quadratic: tuple[Tensor, Tensor, Tensor], bone_lengths: Tensor, weights: Tensor, lowest: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The best depth (...) of all bones' own solutions, whether one exists, and whether a rival is as good."""
    a, b, c = quadratic
    half = (b * b - 4 * a * c).clamp(min=0).sqrt()  # a bone without a solution offers where it comes nearest
    candidates = torch.cat((-b - half, half - b), dim=-1) / (2 * torch.cat((a, a), dim=-1))
    usable = (
        candidates.isfinite() & (candidates + lowest[..., None] > 0) & (torch.cat((weights, weights), -1) > 0)
    )
    candidates = torch.where(usable, candidates, torch.ones_like(candidates))

    z = candidates[..., :, None]  # every candidate against every bone
    a, b, c, weights, bone_lengths = (v[..., None, :] for v in (a, b, c, weights, bone_lengths))
    tiny = torch.finfo(z.dtype).tiny
    lengths = ((a * z + b) * z + c + bone_lengths.square()).clamp(min=tiny).sqrt()
    misfit = (weights * (lengths - bone_lengths).abs()).sum(-1)
    misfit = torch.where(usable, misfit, torch.full_like(misfit, torch.inf))
    least, index = misfit.min(-1, keepdim=True)
    best = candidates.gather(-1, index)

    # A candidate from which least squares leads away from the best one, or nowhere, lies in another valley.
    change = (a * z + b / 2) / lengths
    gauss_newton = (weights * change.square()).sum(-1).clamp(min=tiny)
    downhill = -(weights * (lengths - bone_lengths) * change).sum(-1) / gauss_newton
    away = (downhill * (best - candidates) <= 0) | (downhill.abs() < _SETTLED * candidates.abs())
    apart = (candidates - best).abs() > _APART * best.abs()
    as_good = misfit <= least + _AS_GOOD * (weights * bone_lengths).sum(-1)
    return best[..., 0], least[..., 0].isfinite(), (usable & as_good & apart & away).any(-1)


def _condition(
    depth: Tensor, lines: _BoneLines, bone_weights: Tensor, joint_weights: Tensor, bones: list[int]
) -> Tensor:
    """Standard deviation (...) of Z / Z per unit of noise in the image, by the derivative of the least squares."""
    first, last = _ends(bones)
    lengths, change, sideways = _lengths(depth, lines)
    total = (bone_weights * change.square()).sum(-1, keepdim=True)
    pull = (bone_weights * change / (total * lengths))[..., None] * sideways
    shift = torch.zeros(*pull.shape[:-2], hand.NUM_JOINTS, 2, dtype=pull.dtype, device=pull.device)
    shift = shift.index_add(-2, _index(last, pull), pull * (depth[..., None] + lines.children)[..., None])
    shift = shift.index_add(-2, _index(first, pull), -pull * (depth[..., None] + lines.parents)[..., None])
    variance = torch.where(
        joint_weights > 0, shift.square().sum(-1) / joint_weights, torch.zeros_like(shift[..., 0])
    )
    return (variance.sum(-1).sqrt() / depth.abs()).detach()


def _index(values: list[int], like: Tensor) -> Tensor:
    return torch.tensor(values, device=like.device)


def _bone_weights(joint_weights: Tensor) -> Tensor:
    """(..., 20) from those of the joints: the noise of a bone is the mean of the noise of its two ends."""
    first, last = _ends(list(range(hand.NUM_BONES)))
    first, last = joint_weights[..., first], joint_weights[..., last]
    return 2 * first * last / (first + last).clamp(min=torch.finfo(joint_weights.dtype).tiny)


def _lowest_depth(relative_depths: Tensor, present: Tensor) -> Tensor:
    """(...) relative depth of the joint nearest to the camera: the solution must keep it in front."""
    return (
        torch.where(present, relative_depths, torch.full_like(relative_depths, torch.inf)).amin(-1).detach()
    )


def _wrist(points: Tensor, depth: Tensor) -> Tensor:
    rays = torch.cat((points[..., hand.WRIST, :], torch.ones_like(points[..., hand.WRIST, :1])), dim=-1)
    return rays * depth[..., None]


def _without_missing(points: Tensor, relative_depths: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """Zeros in place of missing joints, so that they reach neither a sum nor a gradient."""
    return (
        torch.where(present[..., None], points, torch.zeros_like(points)),
        torch.where(present, relative_depths, torch.zeros_like(relative_depths)),
    )
