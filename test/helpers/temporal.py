"""Windows and videos for the tests of the temporal transformer, with frames that are the truth and some noise."""

from __future__ import annotations

import torch

from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.networks.temporal.transformer import TemporalConfig
from hand_pose_ros.rotations import rotation_from_vector
from hand_pose_ros.synthetic.motion.hand_motion import HandMotion, sample_motion
from hand_pose_ros.synthetic.motion.videos import FrameEstimates, HandVideos, estimated_videos
from hand_pose_ros.synthetic.observed_hands import ObservedHands
from hand_pose_ros.synthetic.poses.sampler import PoseSampler

TINY = TemporalConfig(window=5, width=48, layers=2, heads=2, hidden=64, dropout=0.0)
FRAMES = 12


class NoisyTruth:
    """A frame estimator that knows the motion, and adds noise that is new in every frame."""

    def __init__(self, motion: HandMotion, noise_rad: float) -> None:
        self._motion, self._noise = motion, noise_rad

    def __call__(self, observed: ObservedHands, generator: torch.Generator) -> FrameEstimates:
        """See ``FrameEstimator``."""
        motion, frames = self._motion, self._motion.angles.shape[1]
        angles = motion.angles.flatten(0, 1)
        noise = self._noise * torch.randn(angles.shape, generator=generator)
        angles = angle_bounds().clamp(angles + noise)
        turn = rotation_from_vector(self._noise * torch.randn(len(angles), 3, generator=generator))
        rotation = observed.view.rotation @ turn @ motion.rotation.flatten(0, 1)
        proportions = motion.proportions.repeat_interleave(frames, 0)
        posed = forward_kinematics(angles, proportions, rotation)
        sigma = torch.full(posed.joints.shape[:-1], max(self._noise, 1e-3))
        return FrameEstimates(
            posed.joints, sigma, HandParameters(angles, proportions, rotation, posed.joints, posed.rotations)
        )


def noisy_videos(
    count: int, noise_rad: float = 0.05, frames: int = FRAMES, stamps_s: torch.Tensor | None = None
) -> HandVideos:
    """``count`` videos; the same every time."""
    generator = torch.Generator().manual_seed(5)
    motion = sample_motion(count, frames, PoseSampler(), generator, stamps_s)
    return estimated_videos(motion, NoisyTruth(motion, noise_rad), generator)
