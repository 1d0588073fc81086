"""Lifts landmarks to 3D hands with the diffusion network, and estimates their uncertainty."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

from hand_pose_ros.camera.keypoint_view import KeypointView
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.estimator.diffusion.batch import lift
from hand_pose_ros.estimator.diffusion.fusion import fuse_samples
from hand_pose_ros.estimator.placement import COMMON_SPREAD, place_hands
from hand_pose_ros.mesh.joint_visibility import joints_visible
from hand_pose_ros.networks.condition import KeypointCondition
from hand_pose_ros.networks.diffusion.network import HandDiffusion
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.networks.temporal.window import samples_sigma

SAMPLES: Final = 16
STEPS: Final = 4


class LiftedHands(NamedTuple):
    """n right hands in the frame of their views, lengths in anchor lengths.

    hands: the fused, valid hands, fields (n, ...). sigma: (n, 21) standard deviation of the joints per axis: the
    samples' spread times the network's calibrated factor, plus the error common to all samples. wrist: (n, 3)
    position in front of the camera at which the joints project onto the keypoints; NaN without one. visible:
    (n, 21) bool, not hidden by the hand itself in the lifted pose.
    """

    hands: HandParameters
    sigma: Tensor
    wrist: Tensor
    visible: Tensor


@torch.no_grad()
def lift_hands(
    network: HandDiffusion,
    view: KeypointView,
    condition: KeypointCondition,
    samples: int = SAMPLES,
    steps: int | None = STEPS,
    seed: int = Seed.ARBITRARY,
) -> LiftedHands:
    """Lift n hands with the network that is conditioned on keypoints.

    Args:
        view, condition: of the same n hands. samples: number per hand, at least 2. steps: of the sampling.

    Raises:
        ValueError: there are fewer than two samples, so there is no spread.
    """
    if samples < 2:
        raise ValueError(f"samples must be at least 2, got {samples}")
    lifted = lift(network, condition, samples, steps, seed)
    weights = torch.full(lifted.samples.angles.shape[:2], 1 / samples)
    hands = fuse_samples(lifted.samples, weights, "angles", network, lifted.encoded)
    spread = samples_sigma(lifted.samples.joints) * network.spread_scale
    sigma = (spread.square() + COMMON_SPREAD**2).sqrt()
    wrist = place_hands(hands.joints, view.points, view.half_extent, 1.0).root.position.float()
    in_camera = hands.joints + wrist[:, None]
    placed = wrist.isfinite().all(-1)
    visible = torch.zeros(in_camera.shape[:2], dtype=torch.bool)
    visible[placed] = joints_visible(in_camera[placed], torch.ones(int(placed.sum())))
    return LiftedHands(hands, sigma, wrist, visible)
