"""A detector's noise on videos: the errors of one frame resemble those of the frame before.

``DetectorNoise`` is a random function of the truth. With the same random numbers for all frames of a video, its
error follows the truth smoothly; with M such draws, their errors e_m are mixed as ``sum_m c_m(t) e_m``. With
``sum c = 1`` the systematic part, which all draws share, stays what it is; with ``sum c^2 = 1`` the random part
keeps its size. Such c lie on a sphere, on which they wander with a time constant, and now and then jump.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.synthetic.detector.noise import NO_VARIETY, DetectorNoise, NoisyKeypoints


@dataclass(frozen=True)
class MotionNoiseConfig:
    """Options of the change of a detector's errors from frame to frame.

    draws: M. time_constant_s: range, over videos, of the time in which errors become others. white: range of the
        share of their variance that is new in every frame, for each joint on its own.
    jumping: share of videos with frames in which the errors are others for a few frames; jump: their share.
    without_depth: share of videos whose detector gives no depth. quieter: share of those with smaller errors.
    """

    draws: int = 4
    time_constant_s: tuple[float, float] = (0.3, 2.0)
    white: tuple[float, float] = (0.0005, 0.02)
    jumping: float = 0.25
    jump: float = 0.04
    without_depth: float = 0.08
    quieter: float = 0.15

    def __post_init__(self) -> None:
        if self.draws < 2:
            raise ValueError(f"draws must be at least 2, got {self.draws}")


class MotionNoise:
    """Called as :class:`DetectorNoise` is, for the n F frames of n videos, those of one video in a row."""

    def __init__(
        self, stamps_s: Tensor, noise: DetectorNoise | None = None, config: MotionNoiseConfig | None = None
    ) -> None:
        """``stamps_s``: (n, F). ``noise``: of single frames, without variety; MediaPipe's if None."""
        self._stamps_s = stamps_s
        self._noise = noise or DetectorNoise(variety=NO_VARIETY)
        self._config = config or MotionNoiseConfig()

    def __call__(
        self,
        points: Tensor,
        depth: Tensor,
        visible: Tensor,
        inside: Tensor,
        view_rotation: Tensor,
        generator: torch.Generator,
    ) -> NoisyKeypoints:
        """Noisy keypoints; see :meth:`DetectorNoise.__call__`, with n F hands."""
        shape, config = tuple(self._stamps_s.shape), self._config
        truth = (points, depth, visible, inside, view_rotation)
        frames = list(zip(*(value.unflatten(0, shape).unbind(1) for value in truth), strict=True))
        seeds = torch.randint(2**62, (config.draws,), generator=generator).tolist()
        errors = torch.stack([self._errors(frames, seed) for seed in seeds])  # (M, n, F, 21, 3)
        weights = mixing_weights(self._stamps_s, config, generator)  # (n, F, 21, M)
        quieter = torch.rand(shape[0], 1, 1, 1, generator=generator) < config.quieter
        level = torch.where(quieter, torch.rand(quieter.shape, generator=generator), 1.0)
        error = level * torch.einsum("mnfjc,nfjm->nfjc", errors, weights)
        error = error.flatten(0, 1)
        blind = torch.rand(shape[0], 1, generator=generator) < config.without_depth
        missing = blind.expand(shape).flatten()[:, None]
        noisy_depth = depth + error[..., 2]
        return NoisyKeypoints(
            points + error[..., :2],
            torch.where(missing, torch.nan, noisy_depth),
            torch.full_like(depth, torch.nan),
        )

    def _errors(self, frames: list[tuple[Tensor, ...]], seed: int) -> Tensor:
        """(n, F, 21, 3) errors with the same random numbers in every frame: points, then depth."""
        errors = []
        for points, depth, visible, inside, rotation in frames:
            noisy = self._noise(points, depth, visible, inside, rotation, torch.Generator().manual_seed(seed))
            errors.append(torch.cat((noisy.points - points, (noisy.depth - depth)[..., None]), dim=-1))
        return torch.stack(errors, dim=1)


def mixing_weights(stamps_s: Tensor, config: MotionNoiseConfig, generator: torch.Generator) -> Tensor:
    """C (n, F, 21, M) of each joint's errors, with sum 1 and sum of squares 1."""
    count, frames = stamps_s.shape
    draws = config.draws
    low, high = map(math.log, config.time_constant_s)
    constant = torch.exp(low + (high - low) * torch.rand(count, 1, generator=generator))
    kept = torch.exp(-torch.diff(stamps_s, dim=1) / constant)
    steps = torch.randn(count, frames, draws - 1, generator=generator)
    jumping = torch.rand(count, 1, generator=generator) < config.jumping
    jumps = jumping & (torch.rand(count, frames, generator=generator) < config.jump)
    elsewhere = torch.randn(count, frames, draws - 1, generator=generator)
    length = torch.randint(1, 5, (count, frames), generator=generator)
    state, left = steps[:, 0], torch.zeros(count, dtype=torch.long)
    away, places = elsewhere[:, 0], []
    for frame in range(frames):
        if frame:
            old = kept[:, frame - 1, None]
            state = old * state + (1 - old**2).sqrt() * steps[:, frame]
        left = torch.where(jumps[:, frame], length[:, frame], left - 1)
        away = torch.where(jumps[:, frame, None], elsewhere[:, frame], away)
        places.append(torch.where((left > 0)[:, None], away, state))
    place = torch.stack(places, dim=1)[:, :, None]  # (n, F, 1, M - 1)
    low, high = config.white
    white = low * (high / low) ** torch.rand(count, 1, 1, 1, generator=generator)
    fresh = torch.randn(count, frames, hand.NUM_JOINTS, draws - 1, generator=generator)
    direction = torch.nn.functional.normalize((1 - white).sqrt() * place + white.sqrt() * fresh, dim=-1)
    return 1 / draws + math.sqrt((draws - 1) / draws) * direction @ _simplex_basis(draws).T


def _simplex_basis(draws: int) -> Tensor:
    """(M, M - 1): an orthonormal basis of what is orthogonal to (1, ..., 1)."""
    columns = torch.cat((torch.ones(draws, 1), torch.eye(draws)[:, : draws - 1]), dim=1)
    return torch.linalg.qr(columns.double())[0][:, 1:].float()
