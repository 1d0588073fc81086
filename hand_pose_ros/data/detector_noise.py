"""What a keypoint detector makes of a hand: true keypoints -> noisy ones, with relative depth and confidence."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.shapes import check_shape

_NO_DEPTH = 0.18  # share of the hands for which the detector gives no depth
_INCOMPLETE = 0.09  # for which joints are missing
_CONFIDENCE = 0.25  # for which it tells its confidence
_NEAR_PERFECT = 0.12  # with very little noise
_SWAPPED = 0.015  # with two fingers swapped

_POINT_SIGMA = (0.05, 0.13, 0.20)  # visible, hidden, outside; half extents
_DEPTH_SIGMA = (0.12, 0.20, 0.30)  # anchor lengths
_DEPTH_GAIN = 0.75
_SCALE_SPREAD = 0.5  # standard deviation of the logarithm of a hand's noise level


class NoisyKeypoints(NamedTuple):
    """What a detector gives for n hands.

    points: (n, 21, 2) in the unit of the true points; NaN where the detector gives none.
    depth: (n, 21) relative depth in anchor lengths; NaN where not given.
    confidence: (n, 21) in [0, 1]; NaN where the detector reports none.
    """

    points: Tensor
    depth: Tensor
    confidence: Tensor


class DetectorNoise:
    """A detector's errors as a random function of what is true."""

    def __init__(self, scale: float = 1.0, definition_offsets: bool = False) -> None:
        if not scale >= 0:
            raise ValueError(f"scale must not be negative, got {scale}")
        self._scale = scale
        self._definition_offsets = definition_offsets

    def __call__(
        self,
        points: Tensor,
        depth: Tensor,
        visible: Tensor,
        inside: Tensor,
        view_rotation: Tensor,
        generator: torch.Generator,
    ) -> NoisyKeypoints:
        """Noisy keypoints of n right hands.

        Args:
            points: (n, 21, 2) true points in the canonical view, in multiples of the hand's half extent there.
            depth: (n, 21) true depth in the view relative to the wrist's, in anchor lengths.
            visible: (n, 21) bool, not hidden behind another part of the hand.
            inside: (n, 21) bool, inside the image.
            view_rotation: (n, 3, 3) wrist frame -> view frame.

        Raises:
            ValueError: a wrong shape.
        """
        check_shape("points", points, (hand.NUM_JOINTS, 2))
        count = len(points)

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, device=generator.device).to(points)

        def uniform(*shape: int) -> Tensor:
            return torch.rand(shape, generator=generator, device=generator.device).to(points)

        state = torch.where(inside, 1 - visible.long(), 2)
        perfect = uniform(count) < _NEAR_PERFECT
        level = torch.exp(_SCALE_SPREAD * normal(count)) * torch.where(perfect, 0.1, 1.0) * self._scale
        errors = _correlated(normal(count, 1, 3), normal(count, 5, 3), normal(count, hand.NUM_JOINTS, 3))
        point_sigma = points.new_tensor(_POINT_SIGMA)[state] * level[:, None]
        depth_sigma = points.new_tensor(_DEPTH_SIGMA)[state] * level[:, None]
        noisy = points + errors[..., :2] * point_sigma[..., None]
        gain = torch.where(perfect, 1.0, _DEPTH_GAIN)[:, None]
        noisy_depth = gain * depth + errors[..., 2] * depth_sigma
        noisy_depth = noisy_depth - noisy_depth[:, :1]

        fingers = 1 + 4 * torch.argsort(uniform(count, 5), dim=1)[:, :2].to(points.device)
        order = torch.arange(hand.NUM_JOINTS, device=points.device).repeat(count, 1)
        swapped = torch.nonzero(uniform(count) < _SWAPPED)[:, 0]
        for joint in range(4):
            a, b = fingers[swapped, 0] + joint, fingers[swapped, 1] + joint
            order[swapped, a], order[swapped, b] = b, a
        noisy = noisy.gather(1, order[..., None].expand(-1, -1, 2))
        noisy_depth = noisy_depth.gather(1, order)

        confidence = torch.exp(-4 * point_sigma * torch.exp(0.3 * normal(count, hand.NUM_JOINTS)))
        confidence = torch.where(uniform(count, 1) < _CONFIDENCE, confidence, torch.nan)
        noisy_depth = torch.where(uniform(count, 1) < _NO_DEPTH, torch.nan, noisy_depth)
        of_finger = (torch.arange(hand.NUM_JOINTS, device=points.device) - 1).clamp(min=-1) // 4
        missing = (uniform(count, 1) < _INCOMPLETE) & (
            (uniform(count, 5) < 0.25)[:, of_finger] & (of_finger >= 0)
            | (uniform(count, hand.NUM_JOINTS) < 0.08)
        )
        nan = points.new_tensor(torch.nan)
        return NoisyKeypoints(
            torch.where(missing[..., None], nan, noisy),
            torch.where(missing, nan, noisy_depth),
            torch.where(missing, nan, confidence),
        )


def _correlated(of_hand: Tensor, of_fingers: Tensor, of_joints: Tensor) -> Tensor:
    """(n, 21, 3) of unit variance, correlated in the hand and more in each finger."""
    of_fingers = torch.cat((of_joints[:, :1], of_fingers.repeat_interleave(4, dim=1)), dim=1)
    return (0.2**0.5) * of_hand + (0.5**0.5) * of_fingers + (0.3**0.5) * of_joints
