"""Videos of hands as the temporal transformer sees them: motion -> detector's noise -> one estimate per frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from hand_pose_ros.common.named_tensors import cat, rows
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimatorConfig
from hand_pose_ros.estimator.diffusion.fusion import fuse_samples
from hand_pose_ros.networks.condition import KeypointCondition
from hand_pose_ros.networks.diffusion.network import HandDiffusion
from hand_pose_ros.networks.diffusion.sampling import antithetic_noise, fit_samples, sample_joints
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.networks.temporal.window import HandWindow, samples_sigma
from hand_pose_ros.synthetic.detector.noise import noise_of
from hand_pose_ros.synthetic.detector.noise_over_time import MotionNoise
from hand_pose_ros.synthetic.motion.hand_motion import HandMotion, sample_motion
from hand_pose_ros.synthetic.observed_hands import ObservedHands, observe
from hand_pose_ros.synthetic.poses.sampler import PoseSampler

_HANDS_AT_ONCE = 256


class FrameEstimates(NamedTuple):
    """Estimates of n single frames, each in its canonical view.

    joints: (n, 21, 3) mean of the samples. sigma: (n, 21) their calibrated spread. fused: the valid hand D*,
        fields (n, ...).
    """

    joints: Tensor
    sigma: Tensor
    fused: HandParameters


FrameEstimator = Callable[[ObservedHands, torch.Generator], FrameEstimates]
"""Makes the estimates of single frames; those of one video in a row."""


class HandVideos(NamedTuple):
    """n videos of F frames, right hands, everything in the camera's frame.

    window: the frames' own estimates, all valid. proportions: (n, F, 20) of D*.
    views: (n, F, 3, 3) R_view_camera of every frame.
    true_angles: (n, F, 38). true_rotation: (n, F, 3, 3). true_joints: (n, F, 21, 3) relative to the wrist, in
    anchor lengths.
    """

    window: HandWindow
    proportions: Tensor
    views: Tensor
    true_angles: Tensor
    true_rotation: Tensor
    true_joints: Tensor

    def at(self, videos: Tensor, frames: Tensor) -> HandVideos:
        """Frames (m, k) of videos (m,)."""
        return rows(self, (videos[:, None], frames))


def sample_videos(
    count: int,
    frames: int,
    sampler: PoseSampler,
    estimate: FrameEstimator,
    generator: torch.Generator,
    landmarks: str = "mediapipe",
) -> HandVideos:
    """``count`` random videos through the whole chain."""
    return estimated_videos(sample_motion(count, frames, sampler, generator), estimate, generator, landmarks)


@torch.no_grad()
def estimated_videos(
    motion: HandMotion, estimate: FrameEstimator, generator: torch.Generator, landmarks: str = "mediapipe"
) -> HandVideos:
    """A motion as a detector sees it, and what the estimator makes of every frame.

    ``landmarks``: whose errors the keypoints have, see :func:`~hand_pose_ros.synthetic.detector.noise.noise_of`.
    """
    shape = tuple(motion.stamps_s.shape)
    joints = motion.joints()
    noise = MotionNoise(motion.stamps_s, noise_of(landmarks))
    observed = observe(joints.flatten(0, 1), motion.view(), noise, generator)
    single = estimate(observed, generator)
    views = observed.view.rotation
    to_camera = views.transpose(-1, -2)
    seen = (single.joints @ views, single.sigma, single.fused.angles, to_camera @ single.fused.rotation)
    of_frame = (value.unflatten(0, shape) for value in (*seen, single.fused.proportions, views))
    *seen, proportions, views = of_frame
    return HandVideos(
        HandWindow(motion.stamps_s, torch.ones(shape, dtype=torch.bool), *seen),
        proportions,
        views,
        motion.angles,
        motion.rotation,
        joints @ motion.rotation.transpose(-1, -2),
    )


class DiffusionFrames:
    """A :data:`FrameEstimator`: the diffusion network as :class:`DiffusionEstimator` uses it."""

    def __init__(
        self, network: HandDiffusion, samples: int = 8, steps: int = 4, seed: int = Seed.ARBITRARY
    ) -> None:
        """``samples``: S of each frame. ``steps``: of sampling. ``seed``: of the noise, that of all frames."""
        self._network = network.eval()
        self._steps = steps
        self._noise = antithetic_noise(samples, torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def __call__(self, observed: ObservedHands, _generator: torch.Generator) -> FrameEstimates:
        """See :data:`FrameEstimator`."""
        count = len(observed.rays)
        parts = []
        for start in range(0, count, _HANDS_AT_ONCE):
            some = slice(start, start + _HANDS_AT_ONCE)
            parts.append(self._some(rows(observed.condition, some)))
        return cat(parts)

    def _some(self, condition: KeypointCondition) -> FrameEstimates:
        network, samples = self._network, len(self._noise)
        encoded = network.encode(condition)
        x0 = sample_joints(network, encoded, self._noise, self._steps)
        hands = fit_samples(network, encoded, x0)
        weights = x0.new_full(x0.shape[:2], 1 / samples)
        fused = fuse_samples(hands, weights, DiffusionEstimatorConfig.fusion, network, encoded)
        sigma = network.spread_scale * samples_sigma(hands.joints)
        return FrameEstimates(hands.joints.mean(1), sigma, fused)
