"""True keypoints of random hands, for the tests of the detector's noise."""

from __future__ import annotations

from functools import lru_cache

import torch

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import view_keypoints
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.synthetic.poses.sampler import PoseSampler
from hand_pose_ros.synthetic.views import random_views


@lru_cache
def random_keypoints(count: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """True keypoints of random hands, as the noise model takes them, all joints seen."""
    generator = torch.Generator().manual_seed(seed)
    angles, proportions = PoseSampler().sample(count, generator)
    normalised = forward_kinematics(angles, proportions).joints
    views = random_views(normalised, generator)
    from_wrist = normalised @ views.rotation.transpose(-1, -2)
    view = view_keypoints(from_wrist * views.anchor_length_m[:, None, None] + views.wrist_m[:, None])
    return {
        "points": view.points,
        "depth": (from_wrist @ view.rotation.transpose(-1, -2))[..., 2],
        "visible": torch.ones(count, hand.NUM_JOINTS, dtype=torch.bool),
        "inside": torch.ones(count, hand.NUM_JOINTS, dtype=torch.bool),
        "view_rotation": view.rotation @ views.rotation,
    }
