"""The scale of a hand, metres per unit of its scale-normalised pose: from a known size, or mean bone lengths."""

from __future__ import annotations

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.shapes import check_shapes

_JOINTS = (hand.NUM_JOINTS, 3)
MEAN_BONE_LENGTHS_M = tuple(hand.MEAN_ANCHOR_LENGTH_M * mean for _, mean, _ in hand.PROPORTIONS)
"""Mean length of each of the 20 bones, metres, in ``hand.BONES`` order."""


def scale_from_anchor(joints: Tensor, anchor_length_m: float | Tensor) -> Tensor:
    """Scale (...) that gives the bone wrist -> index MCP of ``joints`` (..., 21, 3) its known length, metres.

    NaN where either end is missing, or the bone has no length.

    Raises:
        ValueError: a wrong shape, or a number for the length that is not positive.
    """
    if not isinstance(anchor_length_m, Tensor) and not 0 < anchor_length_m < float("inf"):
        raise ValueError(f"anchor_length_m must be positive and finite, got {anchor_length_m}")
    check_shapes(("joints", joints, _JOINTS), ("anchor_length_m", anchor_length_m, ()))
    parent, child = hand.BONES[hand.ANCHOR_BONE]
    length = (joints[..., child, :] - joints[..., parent, :]).norm(dim=-1)
    return torch.where(length > 0, anchor_length_m / length, torch.full_like(length, torch.nan))


def scale_from_mean_lengths(
    joints: Tensor, mean_lengths_m: Tensor | None = None, weights: Tensor | None = None
) -> Tensor:
    """Scale (...) with the least ``sum_b w_b (s |bone b| - mean_b)^2`` (heatmap_25d eq. 8), in closed form.

    It is a guess: adults differ from the mean by some 6 percent, and a metric pose is off by as much.

    Args:
        joints: (..., 21, 3) scale-normalised; NaN marks a missing joint, whose bones are left out.
        mean_lengths_m: (..., 20) metres in ``hand.BONES`` order; those of adults if None.
        weights: (..., 20) of the bones, 1 if None; bones of zero (or NaN) weight are left out.

    Returns:
        (...), NaN where no bone is left.

    Raises:
        ValueError: a wrong shape.
    """
    check_shapes(
        ("joints", joints, _JOINTS),
        ("mean_lengths_m", mean_lengths_m, (hand.NUM_BONES,)),
        ("weights", weights, (hand.NUM_BONES,)),
    )
    means = joints.new_tensor(MEAN_BONE_LENGTHS_M) if mean_lengths_m is None else mean_lengths_m
    present = joints.isfinite().all(-1, keepdim=True)
    joints = torch.where(present, joints, torch.zeros_like(joints))
    first, last = (list(ends) for ends in zip(*hand.BONES, strict=True))
    squared = (joints[..., last, :] - joints[..., first, :]).square().sum(-1)
    usable = (present[..., first, 0] & present[..., last, 0]) & (squared > 0)
    lengths = torch.where(usable, squared, torch.ones_like(squared)).sqrt()
    usable = usable.to(joints) if weights is None else usable * weights.to(joints).nan_to_num()
    return (usable * lengths * means).sum(-1) / (usable * lengths.square()).sum(-1)
