"""The last fit corrects the hands after the temporal transformer, with a memory of each track's correction.

Smoothing over time makes a hand trail in fast motion, and an estimate need not lie on the landmarks that it was
made from. The fit moves it towards them. To fit each frame alone would bring the jitter of the landmarks back, so
the correction is filtered: between frames it is an autoregressive process, whose stationary covariance is that of
the hypotheses. It remembers in a still hand, which averages the landmarks' noise, and forgets in fast motion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.named_tensors import to
from hand_pose_ros.common.options import Options, option
from hand_pose_ros.estimator.estimate import EstimatedHands
from hand_pose_ros.estimator.landmark_motion import landmark_shape, shape_motion
from hand_pose_ros.estimator.last_fit.gauss_newton import (
    CORRECTIONS,
    Correction,
    corrected,
    hypotheses_covariance,
)
from hand_pose_ros.estimator.smoothing import moved_samples
from hand_pose_ros.pose import Detection

_LONGEST_GAP_S: Final = 0.25
_SPREAD: Final = 0.05
"""Standard deviation, rad, that is added to that of the hypotheses: errors that all of them share."""


@dataclass(frozen=True)
class LastFitConfig(Options):
    """Options of the last fit.

    memory: correlation of the correction from frame to frame while the hand is still.
    motion: of the landmarks from frame to frame at which that correlation has fallen to 1 / e, in multiples of the
        landmarks' root mean square distance from their middle.
    """

    enabled: bool = option(
        True,
        "After smoothing, move each hand towards its landmarks, within its hypotheses: less lag in fast motion.",
        essential=True,
    )
    noise: float = option(
        0.12,
        "Standard deviation of the landmarks for the last fit, in half extents of the hand. Less moves hands "
        "nearer to the landmarks, with more jitter.",
        minimum=0.001,
        maximum=10.0,
    )
    steps: int = option(1, "Gauss-Newton steps of the last fit.", minimum=1, maximum=10)
    memory: float = 0.99
    motion: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.memory < 1 or not self.motion > 0:
            raise ValueError("memory must lie in [0, 1) and motion must be positive")


class _Memory(NamedTuple):
    """The last frame of a track: the correction and its covariance, with rotations about the camera's axes.

    side: of the hand. landmarks: (21, 2) about their middle, scaled; see :func:`landmark_shape`.
    """

    side: str
    stamp_s: float
    landmarks: np.ndarray
    value: Tensor
    covariance: Tensor


class LastFit:
    """An :class:`~hand_pose_ros.estimator.smoothing.EstimateSmoother` that fits hands to their image points.

    Hands without samples, or whose estimator has placed them itself, stay the same: there the estimator has fitted
    them. A hand without a track id is fitted without a memory.
    """

    def __init__(self, config: LastFitConfig | None = None) -> None:
        self._config = config or LastFitConfig()
        self._tracks: dict[int, _Memory] = {}

    def reset(self) -> None:
        """Forget all tracks."""
        self._tracks = {}

    @torch.inference_mode()
    def smooth(self, estimate: EstimatedHands, time_s: float) -> EstimatedHands:
        """See :class:`~hand_pose_ros.estimator.smoothing.EstimateSmoother`.

        The samples keep their deviations from the hands, so their covariances stay the same.
        """
        if not estimate.rows or estimate.samples is None or estimate.wrist is not None:
            return estimate
        view, hands = estimate.known
        assert estimate.weights is not None
        cpu = torch.device("cpu")
        hands, samples = (to(to(one, cpu), torch.float64) for one in (hands, estimate.samples))
        turns = view.rotation.double().cpu()
        own = hypotheses_covariance(hands, samples, estimate.weights.double().cpu(), estimate.spread_scale)
        own = own + _SPREAD**2 * torch.eye(CORRECTIONS).to(own)
        found = estimate.estimated
        shapes = [landmark_shape(one) for one in found]
        mean, covariance = torch.zeros_like(own[..., 0]), own.clone()
        for row, (detection, shape) in enumerate(zip(found, shapes, strict=True)):
            last = self._last(detection, time_s)
            if last is not None:
                kept = self._kept(last, shape)
                value, spread = _turned(last.value, last.covariance, turns[row])
                mean[row] = kept * value
                covariance[row] = kept**2 * spread + (1 - kept**2) * own[row]
        sigma = torch.full((len(found), hand.NUM_JOINTS), self._config.noise).to(own)
        points, half_extent = view.points.double().cpu(), view.half_extent.double().cpu()
        fit = corrected(hands, mean, covariance, points, half_extent, sigma, self._config.steps)
        self._remember(found, shapes, fit, turns, time_s)
        return replace(estimate, hands=fit.hands, samples=moved_samples(samples, hands, fit.hands))

    def _last(self, detection: Detection, time_s: float) -> _Memory | None:
        """Return the memory of a hand's track, unless it is too old or of another side."""
        last = None if detection.track_id is None else self._tracks.get(detection.track_id)
        if last is None or last.side != detection.side or not 0 <= time_s - last.stamp_s <= _LONGEST_GAP_S:
            return None
        return last

    def _kept(self, last: _Memory, shape: np.ndarray) -> float:
        """Return the correlation of the correction with the last one, from the motion of the landmarks."""
        motion = shape_motion(shape, last.landmarks)
        return self._config.memory * math.exp(-((motion / self._config.motion) ** 2))

    def _remember(
        self, found: list[Detection], shapes: list[np.ndarray], fit: Correction, turns: Tensor, time_s: float
    ) -> None:
        tracks = {key: one for key, one in self._tracks.items() if time_s - one.stamp_s <= _LONGEST_GAP_S}
        for row, (detection, shape) in enumerate(zip(found, shapes, strict=True)):
            if detection.track_id is not None:
                value, covariance = _turned(fit.value[row], fit.covariance[row], turns[row].mT)
                memory = _Memory(detection.side, time_s, shape, value, covariance)
                tracks[detection.track_id] = memory
        self._tracks = tracks


def _turned(value: Tensor, covariance: Tensor, turn: Tensor) -> tuple[Tensor, Tensor]:
    """Express the rotation in a correction (41,), and in its covariance (41, 41), in axes turned by (3, 3)."""
    value, covariance, rotation = value.clone(), covariance.clone(), slice(hand.NUM_ANGLES, None)
    value[rotation] = turn @ value[rotation]
    covariance[rotation] = turn @ covariance[rotation]
    covariance[:, rotation] = covariance[:, rotation] @ turn.mT
    return value, covariance
