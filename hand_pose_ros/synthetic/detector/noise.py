"""Simulation of a keypoint detector: true keypoints -> noisy ones, with relative depth and confidence.

An error has a systematic part, which depends on the pose and the view (the detector's depth is flatter than the
truth, its hands are more usual than the truth), and a random part, correlated over the joints and of a level that
differs from hand to hand. Now and then fingers are confused, or the hand's depth has the wrong sign. All of that
is fitted to MediaPipe (docs/how/detector_noise.md); variants for other detectors are added at random.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.named_tensors import cat, each, to
from hand_pose_ros.common.shapes import check_shape
from hand_pose_ros.networks.condition import CONFIDENCE_LOSS
from hand_pose_ros.synthetic.detector.finger_confusion import confuse, fingers_unseen, random_sources
from hand_pose_ros.synthetic.detector.statistics import (
    STATISTICS,
    NoiseStatistics,
    anchor_in_half_extents,
    error_features,
    joint_states,
    level_features,
    load_statistics,
)

_FINGER_OF_JOINT = torch.tensor([(node - 1) // 4 if node else -1 for node in range(hand.NUM_JOINTS)])


class NoisyKeypoints(NamedTuple):
    """The output of a detector for n hands.

    points: (n, 21, 2) in the unit of the true points; NaN where the detector gives none.
    depth: (n, 21) relative depth in anchor lengths; NaN where not given.
    confidence: (n, 21) in [0, 1]; NaN where the detector reports none.
    """

    points: Tensor
    depth: Tensor
    confidence: Tensor


@dataclass(frozen=True)
class DetectorVariety:
    """Shares of hands that are seen by something else than MediaPipe, so that a network learns to do with others.

    without_depth: the detector gives no depth. incomplete: fingers or joints are missing. with_confidence: it
    tells its confidence. near_perfect: it hardly errs. less_systematic: only a part, evenly drawn, of the
    systematic error is made.
    """

    without_depth: float = 0.18
    incomplete: float = 0.09
    with_confidence: float = 0.25
    near_perfect: float = 0.12
    less_systematic: float = 0.30
    missing_finger: float = 0.25
    """Probability of each finger of an incomplete hand to be missing."""
    missing_joint: float = 0.08
    """And of each joint besides."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {value}")


NO_VARIETY = DetectorVariety(*[0.0] * 7)
"""MediaPipe alone: complete, with depth, without confidence."""
_NEAR_PERFECT_LEVEL = 0.25  # highest share of the errors that remains for near-perfect hands


KeypointNoise = Callable[..., NoisyKeypoints]
"""Makes keypoints noisy; called like :class:`DetectorNoise`."""


class DetectorNoise:
    """A detector's errors, as a random function of what is true; right hands, or left ones mirrored."""

    def __init__(
        self,
        scale: float = 1.0,
        definition_offsets: bool = False,
        variety: DetectorVariety | None = None,
        statistics: NoiseStatistics | None = None,
    ) -> None:
        """Load the statistics that ship with the package, unless others are given.

        Args:
            scale: of all errors but the confused fingers and flipped hands.
            definition_offsets: also move the joints to where MediaPipe sees them on *our* hand model (its wrist
                lies a centimetre nearer to the fingers).
            variety: of detectors; the default one if None, and ``NO_VARIETY`` for MediaPipe alone.

        Raises:
            ValueError: a negative scale.
        """
        if not (scale >= 0 and math.isfinite(scale)):
            raise ValueError(f"scale must be finite and not negative, got {scale}")
        self._scale = scale
        self._definition_offsets = definition_offsets
        self._variety = variety or DetectorVariety()
        self._given = statistics

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
            generator: where the randomness comes from, on any device.

        Raises:
            ValueError: a wrong shape.
        """
        _check(points, depth, visible, inside, view_rotation)
        draw = _Draw(points, generator)
        known = self._statistics(points)
        count, variety = len(points), self._variety
        perfect = draw.uniform(count) < variety.near_perfect
        share = torch.where(perfect, _NEAR_PERFECT_LEVEL * draw.uniform(count), 1.0) * self._scale
        systematic_share = share * torch.where(
            draw.uniform(count) < variety.less_systematic, draw.uniform(count), 1.0
        )

        unit = anchor_in_half_extents(points, depth)[:, None, None]
        joints = torch.cat(((points - points[:, :1]) / unit, depth[..., None]), dim=-1)
        systematic = (error_features(joints, view_rotation) @ known.weights + known.bias).unflatten(
            1, (-1, 3)
        )
        state = joint_states(visible, inside)
        sigma = self._sigma(known, joints, view_rotation, state, draw) * share[:, None, None]
        error = draw.normal(count, 3 * hand.NUM_JOINTS) @ known.cholesky.T
        error = error.unflatten(1, (-1, 3)) * sigma[..., (0, 0, 1)]
        error = error + systematic * systematic_share[:, None, None]
        if self._definition_offsets:
            offset = known.definition @ view_rotation.transpose(-1, -2)
            offset = torch.cat((offset[..., :2] * unit, offset[..., 2:] - offset[:, :1, 2:]), dim=-1)
            error = error + offset * share[:, None, None]

        flipped = (draw.uniform(count) < known.flipped) & ~perfect
        noisy = (
            torch.cat((points, (depth * torch.where(flipped, -1.0, 1.0)[:, None])[..., None]), dim=-1) + error
        )
        sources = random_sources(known.swapped, known.copied, fingers_unseen(visible & inside), generator)
        sources = torch.where(perfect[:, None], torch.arange(5, device=sources.device), sources)
        noisy, sigma = confuse(noisy, sources), confuse(sigma, sources)
        noisy = torch.cat((noisy[..., :2], noisy[..., 2:] - noisy[:, :1, 2:]), dim=-1)
        return self._as_given(noisy, sigma[..., 0], draw)

    def _statistics(self, like: Tensor) -> NoiseStatistics:
        if self._given is None:
            return load_statistics(dtype=like.dtype, device=like.device)
        return to(self._given, like)

    def _sigma(
        self, known: NoiseStatistics, joints: Tensor, view_rotation: Tensor, state: Tensor, draw: _Draw
    ) -> Tensor:
        """(n, 21, 2) standard deviation of each joint's random error, in x and y and in depth."""
        level = level_features(joints, view_rotation, state) @ known.level_weights + known.level_bias
        level = level + _from_quantiles(
            draw.normal(len(joints), 2) @ known.level_cholesky.T, known.level_quantiles
        )
        of_joint = known.sigma[state, torch.arange(hand.NUM_JOINTS, device=state.device)]
        sigma = of_joint * torch.minimum(level, known.level_highest).exp()[:, None]
        # Of unit mean square; the wrist has a level of its own, drawn last.
        of_finger = known.finger_spread * draw.normal(len(joints), len(hand.FINGERS) + 1)
        of_finger = (of_finger - known.finger_spread.square()).exp()[:, _FINGER_OF_JOINT.to(state.device)]
        return sigma * torch.stack((of_finger, torch.ones_like(of_finger)), dim=-1)

    def _as_given(self, noisy: Tensor, sigma: Tensor, draw: _Draw) -> NoisyKeypoints:
        """The detector's confidence in noisy joints (n, 21, 3) with errors of about ``sigma`` (n, 21)."""
        count, variety = len(noisy), self._variety
        loss = CONFIDENCE_LOSS * sigma * torch.exp(0.3 * draw.normal(count, hand.NUM_JOINTS))
        fingers = draw.uniform(count, len(hand.FINGERS)) < variety.missing_finger
        fingers = torch.cat((fingers, torch.zeros_like(fingers[:, :1])), dim=1)  # the wrist is of no finger
        missing = fingers[:, _FINGER_OF_JOINT.to(fingers.device)]
        missing = missing | (draw.uniform(count, hand.NUM_JOINTS) < variety.missing_joint)
        missing = missing & (draw.uniform(count, 1) < variety.incomplete)
        told = (draw.uniform(count, 1) < variety.with_confidence) & ~missing
        has_depth = (draw.uniform(count, 1) >= variety.without_depth) & ~missing
        nan = noisy.new_tensor(torch.nan)
        return NoisyKeypoints(
            points=torch.where(missing[..., None], nan, noisy[..., :2]),
            depth=torch.where(has_depth, noisy[..., 2], nan),
            confidence=torch.where(told, torch.exp(-loss), nan),
        )


def noise_of(landmarks: str, variety: DetectorVariety = NO_VARIETY) -> DetectorNoise:
    """The errors of the network that tells the landmarks, one of ``STATISTICS``, and of what ``variety`` adds."""
    return DetectorNoise(variety=variety, statistics=load_statistics(STATISTICS[landmarks]))


class MixedNoise:
    """Each hand is seen by one of several detectors, chosen at random; called like :class:`DetectorNoise`."""

    def __init__(self, noises: Sequence[KeypointNoise], shares: Sequence[float]) -> None:
        """Take the detectors.

        Args:
            shares: of the hands that each detector sees; their sum is 1.
        """
        self._noises, self._shares = tuple(noises), torch.tensor(shares)

    def __call__(
        self,
        points: Tensor,
        depth: Tensor,
        visible: Tensor,
        inside: Tensor,
        view_rotation: Tensor,
        generator: torch.Generator,
    ) -> NoisyKeypoints:
        """See :class:`DetectorNoise`."""
        given = (points, depth, visible, inside, view_rotation)
        chosen = torch.multinomial(
            self._shares.to(generator.device), len(points), replacement=True, generator=generator
        ).to(points.device)
        parts, order = [], []
        for number, noise in enumerate(self._noises):
            at = (chosen == number).nonzero()[:, 0]
            order.append(at)
            parts.append(noise(*(one[at] for one in given), generator))
        back = torch.cat(order).argsort()
        return each(lambda value: value[back], cat(parts))


def _from_quantiles(normal: Tensor, quantiles: Tensor) -> Tensor:
    """Standard normal variates (n, k), mapped to the distributions with these quantiles (m, k)."""
    place = torch.special.ndtr(normal) * (len(quantiles) - 1)
    low = place.floor().clamp(max=len(quantiles) - 2)
    first, second = (quantiles.gather(0, low.long() + step) for step in (0, 1))
    return first + (place - low) * (second - first)


class _Draw:
    """Random numbers of the type and on the device of ``like``."""

    def __init__(self, like: Tensor, generator: torch.Generator) -> None:
        self._like, self._generator = like, generator

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self._generator, device=self._generator.device).to(self._like)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._generator, device=self._generator.device).to(self._like)


def _check(points: Tensor, depth: Tensor, visible: Tensor, inside: Tensor, view_rotation: Tensor) -> None:
    count = len(points)
    for name, value, shape in (
        ("points", points, (count, hand.NUM_JOINTS, 2)),
        ("depth", depth, (count, hand.NUM_JOINTS)),
        ("visible", visible, (count, hand.NUM_JOINTS)),
        ("inside", inside, (count, hand.NUM_JOINTS)),
        ("view_rotation", view_rotation, (count, 3, 3)),
    ):
        check_shape(name, value, shape)
        if value.ndim != len(shape):
            raise ValueError(f"{name} must have shape {shape}, got {tuple(value.shape)}")
