"""Hands for tests of what comes after the estimators: random, valid, in front of the camera."""

from __future__ import annotations

import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.pose import Detection, HandPose
from hand_pose_ros.rotations import orthogonalise


def random_pose(
    side: str = "right",
    seed: int = 0,
    score: float = 0.9,
    track_id: int | None = None,
    covariance: bool = False,
    centre_m: tuple[float, float, float] = (0.02, -0.01, 0.5),
) -> HandPose:
    """A hand within the limits, with FK's joints and frames; with a random covariance if asked for."""
    generator = torch.Generator().manual_seed(seed)
    angles = angle_bounds().clamp(torch.randn(hand.NUM_ANGLES, generator=generator) * 0.3)
    proportions = proportion_bounds().neutral.to(angles)
    rotation = orthogonalise(torch.randn(3, 3, generator=generator))
    length_m = 0.085
    frames = forward_kinematics(angles, proportions, rotation, torch.tensor(centre_m), length_m, side)
    roots = torch.randn(hand.NUM_JOINTS, 3, 3, generator=generator) * 0.004
    wrist_root = torch.randn(6, 6, generator=generator) * 0.01
    unknown = np.full((hand.NUM_JOINTS, 3, 3), np.nan)
    return HandPose(
        side=side,
        score=score,
        joints_m=frames.joints.numpy(),
        rotations=frames.rotations.numpy(),
        angles_rad=angles.numpy(),
        proportions=proportions.numpy(),
        anchor_length_m=length_m,
        covariance_m2=(roots @ roots.mT).numpy() if covariance else unknown,
        wrist_covariance=(wrist_root @ wrist_root.T).numpy() if covariance else np.full((6, 6), np.nan),
        track_id=track_id,
    )


def detection(side: str = "right", score: float = 0.9, track_id: int | None = None) -> Detection:
    """A detection of a box."""
    return Detection(side, score, np.array([100.0, 120.0, 260.0, 300.0]), track_id=track_id)


def invalid_pose(side: str = "right", score: float = 0.9, track_id: int | None = None) -> HandPose:
    """A hand that could not be estimated."""
    return HandPose.invalid(detection(side, score, track_id), "its palm is seen edge-on")


def assert_hand_within_limits(pose: HandPose) -> None:
    """Assert that the angles lie inside their limits, and that joints and frames are those of the angles."""
    assert angle_bounds(torch.float64).contains(torch.from_numpy(pose.angles_rad))
    again = forward_kinematics(
        torch.from_numpy(pose.angles_rad),
        torch.from_numpy(pose.proportions),
        torch.from_numpy(pose.rotations[0]),
        torch.from_numpy(pose.joints_m[0]),
        pose.anchor_length_m,
        pose.side,
    )
    np.testing.assert_allclose(again.joints.numpy(), pose.joints_m, atol=1e-9)
    np.testing.assert_allclose(again.rotations.numpy(), pose.rotations, atol=1e-9)
