"""The module converts a detector's 3D landmarks to relative depth, in a unit that every detector shares."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.shapes import check_shape

_SHORTEST: Final = 1e-6


def relative_depth(landmarks: Tensor) -> Tensor:
    """Depth (..., 21) of a detector's 3D landmarks relative to its wrist, in anchor lengths.

    The unit is the detector's own: the median over the five palm bones (wrist -> thumb CMC and finger MCPs) of the
    bone's length over its mean proportion, so that one bad joint does not matter. A palm without length or a
    missing wrist gives NaN everywhere; another missing joint gives NaN for itself.

    Args:
        landmarks: (..., 21, 3), z away from the camera, of any unit and origin; NaN where missing.

    Raises:
        ValueError: a wrong shape.
    """
    check_shape("landmarks", landmarks, (hand.NUM_JOINTS, 3))
    from_wrist = landmarks - landmarks[..., hand.WRIST : hand.WRIST + 1, :]
    lengths = from_wrist[..., hand.LEVELS[0], :].norm(dim=-1)
    anchor = (lengths / lengths.new_tensor(hand.PALM_LENGTHS)).nanmedian(dim=-1).values
    anchor = torch.where(anchor > _SHORTEST, anchor, torch.full_like(anchor, torch.nan))
    return from_wrist[..., 2] / anchor[..., None]
