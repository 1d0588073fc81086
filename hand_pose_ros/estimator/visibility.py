"""The module tells which joints of a placed hand the camera sees, and what hides the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.mesh.joint_visibility import joints_visible
from hand_pose_ros.pose import VISIBILITY, HandPose

OCCLUDED_ERROR: Final = 0.35
"""Expected error of a landmark, in half extents of the hand, from which a joint counts as hidden by something
else. Measured on renders that the network which tells that error was not trained on."""
_VISIBLE, _SELF_OCCLUDED, _OCCLUDED, _OUTSIDE = range(len(VISIBILITY))


def with_visibility(
    camera: CameraModel, hands: Sequence[HandPose], landmark_error: Tensor | None = None
) -> list[HandPose]:
    """Return the hands with the visibility of their joints; hands that are not valid stay the same.

    A joint whose projection lies outside the image is *outside*. Of the others, a joint is *self-occluded* if the
    estimated hand has more than the joint's own flesh in front of it: capsules around its bones, since skinning
    and rasterising the mesh takes several times as long. Of the rest, a joint is *occluded* if the error of its
    landmark is expected to be large: there the image shows something else, or too little. All others are
    *visible*.

    Args:
        camera: of the image. landmark_error: (n, 21) of the hands, half extents, NaN where unknown; None if it is
            known of no hand.
    """
    valid = [row for row, one in enumerate(hands) if one.valid]
    if not valid:
        return list(hands)
    joints = torch.from_numpy(np.stack([hands[row].joints_m for row in valid])).float()
    sizes = torch.tensor([hands[row].anchor_length_m for row in valid], dtype=torch.float32)
    flags = np.where(joints_visible(joints, sizes).numpy(), _VISIBLE, _SELF_OCCLUDED)
    if landmark_error is not None:
        large = landmark_error[valid].cpu().numpy() > OCCLUDED_ERROR
        flags = np.where((flags == _VISIBLE) & large, _OCCLUDED, flags)
    points = camera.project(joints.double().reshape(-1, 3)).reshape(-1, hand.NUM_JOINTS, 2).numpy()
    inside = ((points > -0.5) & (points < (camera.width - 0.5, camera.height - 0.5))).all(-1)
    flags = np.where(inside, flags, _OUTSIDE).astype(np.uint8)
    told = dict(zip(valid, flags, strict=True))
    return [replace(one, visibility=told[row]) if row in told else one for row, one in enumerate(hands)]
