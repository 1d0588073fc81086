"""Hands in motion: smooth sequences of angles and of the wrist before a camera (docs/how/temporal.md)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds
from hand_pose_ros.synthetic.motion.frame_stamps import random_stamps
from hand_pose_ros.synthetic.motion.minimum_jerk import movement_shares, oscillation
from hand_pose_ros.synthetic.motion.wrist_motion import TREMOR_HZ, random_wrist_motion
from hand_pose_ros.synthetic.poses.sampler import PoseSampler
from hand_pose_ros.synthetic.views import HandView, random_views

_MOVEMENTS = 6
# Duration of a movement (s): share, shortest, longest.
_TEMPI = ((0.35, 0.12, 0.35), (0.40, 0.35, 0.9), (0.25, 0.9, 2.5))
_SAME_TEMPO = 0.7  # how often a movement has the tempo of the first one
_REST, _REST_S = 0.4, 0.4  # share of movements that are followed by a rest, and its mean length
_LAG = 0.25  # fingers start later than the first one, and end earlier than the last, by up to this share
_STILL, _WHOLE = (
    0.25,
    0.6,
)  # share of movements that leave a finger as it is; of the others that go all the way
_BACK_AND_FORTH = 0.2  # share of the sequences that alternate between two poses
_TREMOR_DEG = 0.15
_NEAREST_M = 0.05
_FINGER_OF_ANGLE = torch.tensor([(angle.node - 1) // 4 for angle in hand.ANGLES])
_ARTICULATED = torch.arange(hand.NUM_ANGLES) < hand.NUM_ARTICULATION


class HandMotion(NamedTuple):
    """n right hands in F frames each.

    stamps_s: (n, F), rising from 0. angles: (n, F, 38) rad. proportions: (n, 20).
    rotation: (n, F, 3, 3) wrist frame -> camera frame. wrist_m: (n, F, 3) in the camera frame.
    anchor_length_m, focal, aspect: (n,), (n,), (n, 2), as in :class:`HandView`.
    """

    stamps_s: Tensor
    angles: Tensor
    proportions: Tensor
    rotation: Tensor
    wrist_m: Tensor
    anchor_length_m: Tensor
    focal: Tensor
    aspect: Tensor

    def joints(self) -> Tensor:
        """(n, F, 21, 3) joints in the wrist frame, in anchor lengths."""
        proportions = self.proportions[:, None].expand(-1, self.angles.shape[1], -1)
        return forward_kinematics(self.angles, proportions).joints

    def view(self) -> HandView:
        """Every frame as a hand in view of its own, (n F, ...)."""
        frames = self.angles.shape[1]
        of_track = (self.anchor_length_m, self.focal, self.aspect)
        return HandView(
            self.rotation.flatten(0, 1),
            self.wrist_m.flatten(0, 1),
            *(value.repeat_interleave(frames, 0) for value in of_track),
        )


def sample_motion(
    count: int, frames: int, sampler: PoseSampler, generator: torch.Generator, stamps_s: Tensor | None = None
) -> HandMotion:
    """``count`` random motions.

    Args:
        stamps_s: (count, frames) rising; random ones if None.
        generator: on the CPU.

    Raises:
        ValueError: no frame.
    """
    if frames < 1:
        raise ValueError(f"frames must be at least 1, got {frames}")
    if stamps_s is None:
        stamps_s = random_stamps(count, frames, generator)
    starts, durations = _schedule(count, generator)
    poses, proportions = sampler.sample(count * (_MOVEMENTS + 1), generator)
    knots = _knots(poses.unflatten(0, (count, _MOVEMENTS + 1)), generator)
    proportions = proportions.unflatten(0, (count, _MOVEMENTS + 1))[:, 0]
    angles = _angles(knots, stamps_s, starts, durations, generator)

    first = random_views(forward_kinematics(angles[:, 0], proportions).joints, generator)
    lag = _LAG * torch.rand(count, _MOVEMENTS, generator=generator)
    shares = movement_shares(stamps_s, starts + lag * durations, (1 - lag) * durations)
    wrist = random_wrist_motion(first, stamps_s, shares, generator)
    motion = HandMotion(
        stamps_s,
        angles,
        proportions,
        wrist.rotation,
        wrist.wrist_m,
        first.anchor_length_m,
        first.focal,
        first.aspect,
    )
    return _in_front(motion)


def _schedule(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """When movements start, and how long they take: (count, M) each, seconds; one is under way at time 0."""
    shares, shortest, longest = map(torch.tensor, zip(*_TEMPI, strict=True))
    kind = torch.bucketize(torch.rand(count, _MOVEMENTS, generator=generator), shares.cumsum(0)[:-1])
    same = torch.rand(count, _MOVEMENTS, generator=generator) < _SAME_TEMPO
    kind = torch.where(same, kind[:, :1], kind)
    share = torch.rand(count, _MOVEMENTS, generator=generator)
    durations = shortest[kind] + (longest - shortest)[kind] * share
    rests = -_REST_S * torch.rand(count, _MOVEMENTS, generator=generator).clamp(min=1e-6).log()
    rests = torch.where(torch.rand(count, _MOVEMENTS, generator=generator) < _REST, rests, 0.0)
    steps = durations + rests
    began = steps[:, :1] * torch.rand(count, 1, generator=generator)
    return steps.cumsum(1) - steps - began, durations


def _knots(poses: Tensor, generator: torch.Generator) -> Tensor:
    """The angles (n, M + 1, 38) between which a hand moves, out of as many poses; offset angles stay."""
    count, number, _ = poses.shape
    again = torch.rand(count, 1, 1, generator=generator) < _BACK_AND_FORTH
    poses = torch.where(again, poses[:, torch.arange(number) % 2], poses)
    part = torch.rand(count, number, len(hand.FINGERS), generator=generator)
    whole = torch.rand(part.shape, generator=generator) < _WHOLE
    still = torch.rand(part.shape, generator=generator) < _STILL
    part = torch.where(whole, 1.0, part) * ~still
    part = part[..., _FINGER_OF_ANGLE] * _ARTICULATED
    knots = [poses[:, 0]]
    for pose, share in zip(poses.unbind(1)[1:], part.unbind(1)[1:], strict=True):
        knots.append(torch.lerp(knots[-1], pose, share))
    return torch.stack(knots, dim=1)


def _angles(
    knots: Tensor, times_s: Tensor, starts: Tensor, durations: Tensor, generator: torch.Generator
) -> Tensor:
    """(n, F, 38) with every finger in its own time, and tremor."""
    count = len(knots)
    late, early = _LAG * torch.rand(2, count, len(hand.FINGERS), _MOVEMENTS, generator=generator)
    starts, durations = starts[:, None], durations[:, None]
    shares = movement_shares(times_s[:, None], starts + late * durations, (1 - late - early) * durations)
    steps = torch.diff(knots, dim=1)
    moved = torch.einsum("ncfm,nmc->nfc", shares[:, _FINGER_OF_ANGLE], steps)
    level = torch.exp(0.8 * torch.randn(count, 1, 1, generator=generator))
    tremor = oscillation(times_s, hand.NUM_ANGLES, *TREMOR_HZ, generator) * _ARTICULATED
    angles = knots[:, :1] + moved + math.radians(_TREMOR_DEG) * level * tremor
    return angle_bounds().clamp(angles)


def _in_front(motion: HandMotion) -> HandMotion:
    """Moved away along its rays until no joint comes near the camera's plane in any frame."""
    joints = motion.joints() @ motion.rotation.transpose(-1, -2)
    behind = joints[..., 2].amin(-1) * motion.anchor_length_m[:, None]
    needed = (_NEAREST_M - behind) / motion.wrist_m[..., 2].clamp(min=1e-3)
    factor = needed.amax(1).clamp(min=1.0)
    return motion._replace(wrist_m=motion.wrist_m * factor[:, None, None])
