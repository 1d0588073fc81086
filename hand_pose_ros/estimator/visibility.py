"""The module tells which joints of a placed hand the camera sees, and why not the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.mesh.joint_visibility import joints_visible
from hand_pose_ros.pose import VISIBILITY, HandPose

_VISIBLE: Final = VISIBILITY.index("visible")
_SELF_OCCLUDED: Final = VISIBILITY.index("self_occluded")
_OUTSIDE: Final = VISIBILITY.index("outside")


def with_visibility(camera: CameraModel, hands: Sequence[HandPose]) -> list[HandPose]:
    """Return the hands with the visibility of their joints; hands that are not valid stay the same.

    A joint whose projection lies outside the image is *outside*. Of the others, a joint is *self-occluded* if the
    estimated hand has more than the joint's own flesh in front of it: capsules around its bones, since skinning
    and rasterising the mesh takes several times as long. All others are *visible*: nothing here tells what else
    may hide a joint.

    Args:
        camera: of the image.
    """
    valid = [row for row, one in enumerate(hands) if one.valid]
    if not valid:
        return list(hands)
    joints = torch.from_numpy(np.stack([hands[row].joints_m for row in valid])).float()
    sizes = torch.tensor([hands[row].anchor_length_m for row in valid], dtype=torch.float32)
    flags = np.where(joints_visible(joints, sizes).numpy(), _VISIBLE, _SELF_OCCLUDED)
    points = camera.project(joints.double().reshape(-1, 3)).reshape(-1, hand.NUM_JOINTS, 2).numpy()
    inside = ((points > -0.5) & (points < (camera.width - 0.5, camera.height - 0.5))).all(-1)
    flags = np.where(inside, flags, _OUTSIDE).astype(np.uint8)
    told = dict(zip(valid, flags, strict=True))
    return [replace(one, visibility=told[row]) if row in told else one for row, one in enumerate(hands)]
