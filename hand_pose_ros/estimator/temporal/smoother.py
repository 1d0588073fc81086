"""The temporal transformer smooths the newest frame of every track from the track's last frames."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.device import UNCOMPILED_BACKENDS
from hand_pose_ros.common.named_tensors import rows, to
from hand_pose_ros.common.options import Options, option
from hand_pose_ros.estimator.estimate import EstimatedHands
from hand_pose_ros.estimator.smoothing import moved_samples
from hand_pose_ros.estimator.temporal.network import TemporalNetwork, load_temporal_network
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.networks.registry import TEMPORAL, shipped_weights
from hand_pose_ros.networks.temporal.window import HandWindow, certainty, samples_sigma

LONGEST_GAP_S: Final = 0.3
"""Time without a hand after which its track starts again."""
_FORGOTTEN_S: Final = 10.0  # after which a track's frames are freed
_SAME_STAMP_S: Final = 1e-6
_PACKED: Final = ((hand.NUM_JOINTS, 3), (hand.NUM_JOINTS,), (hand.NUM_ANGLES,), (3, 3))
"""Shapes of the fields of a frame, packed."""


@dataclass(frozen=True)
class TemporalConfig(Options):
    """Options of the temporal transformer.

    window: None for as many frames as the network was trained with.
    """

    enabled: bool = option(True, "Smooth the hands over time by the temporal transformer.", essential=True)
    model_file: str = option("", "Weights (.safetensors); empty for the shipped weights.")
    backend: str = option(
        "auto",
        "Runs the network: `onnxruntime`, `torch`, or `auto`: torch on CUDA, onnxruntime on a CPU.",
        choices=UNCOMPILED_BACKENDS,
    )
    window: int | None = option(
        None,
        "Number of last frames of each hand; 0 for all that it was trained with.",
        minimum=1,
        maximum=64,
        unset=0,
    )

    def create(self, device: str) -> TemporalSmoother:
        """The smoother with its weights; raises as :func:`load_temporal_network` and the smoother do."""
        model = self.model_file or shipped_weights(TEMPORAL)
        return TemporalSmoother(load_temporal_network(model, self.backend, device), self.window)


class TrackedHands(NamedTuple):
    """n hands of one moment, at most one of each track; left hands are mirrored.

    track_ids: n ids, None for a hand without a track, which stays the same. sides: n of 'left' or 'right'.
    stamps_s: n times.
    views: (n, 3, 3) R_view_camera of each hand's canonical view.
    """

    track_ids: Sequence[int | None]
    sides: Sequence[str]
    stamps_s: Sequence[float]
    views: Tensor


class _Frame(NamedTuple):
    """One frame of a track, in the camera's frame; fields as in :class:`HandWindow`.

    packed: joints, sigma, angles and rotation in a row, so that a window is made by one copy.
    """

    stamp_s: float
    packed: Tensor
    proportions: Tensor
    certainty: float


@dataclass
class _Track:
    side: str
    frames: deque[_Frame]
    earlier_weight: float = 0.0
    """Sum of the certainties of all frames but the newest."""
    earlier_sum: Tensor | float = 0.0
    """(20,) sum of their proportions times certainties, on the frames' device; 0 if there are none."""

    def add(self, frame: _Frame) -> None:
        """Add the next frame; one with the stamp of the newest replaces it."""
        if self.frames:
            newest = self.frames[-1]
            if frame.stamp_s - newest.stamp_s <= _SAME_STAMP_S:
                self.frames.pop()
            else:
                self.earlier_weight += newest.certainty
                self.earlier_sum = self.earlier_sum + newest.certainty * newest.proportions
        self.frames.append(frame)

    def proportions(self) -> Tensor:
        """(20,) mean over the track, weighted by certainty."""
        newest = self.frames[-1]
        total = self.earlier_weight + newest.certainty
        return (self.earlier_sum + newest.certainty * newest.proportions) / total

    def continues(self, side: str, stamp_s: float) -> bool:
        """Whether a hand may be the next frame of this track."""
        passed = stamp_s - self.frames[-1].stamp_s
        return side == self.side and -_SAME_STAMP_S <= passed <= LONGEST_GAP_S


class TemporalSmoother:
    """An :class:`~hand_pose_ros.estimator.smoothing.EstimateSmoother` that keeps a window for each track.

    It smooths the newest frame's hand: causal, one call per image. A track starts again after a gap of
    ``LONGEST_GAP_S``, with another side, and if time runs backwards; two frames of the same stamp count as one,
    the later one. Call it from one thread at a time.
    """

    def __init__(self, network: TemporalNetwork, window: int | None = None) -> None:
        """``window``: number of frames; those that the network was trained with if None.

        Raises:
            ValueError: a window that the network was not trained for.
        """
        most = network.window
        window = most if window is None else window
        if not 1 <= window <= most:
            raise ValueError(
                f"window must lie in [1, {most}], what the network was trained with, got {window}"
            )
        self._network = network
        self._window = window
        self._tracks: dict[int, _Track] = {}

    def reset(self) -> None:
        """Forget all tracks."""
        self._tracks = {}

    @torch.inference_mode()
    def smooth(self, estimate: EstimatedHands, time_s: float) -> EstimatedHands:
        """See :class:`~hand_pose_ros.estimator.smoothing.EstimateSmoother`.

        The samples keep their deviations from the hands, so their covariances stay the same; a sample is no longer
        anatomically exact.
        """
        found = estimate.estimated
        if not found:
            return estimate
        assert estimate.view is not None
        assert estimate.hands is not None
        tracked = TrackedHands(
            [one.track_id for one in found],
            [one.side for one in found],
            [time_s] * len(found),
            estimate.view.rotation,
        )
        hands, samples = to(estimate.hands, torch.float32), estimate.samples
        if samples is None:
            sigma = torch.full_like(hands.joints[..., 0], torch.nan)
            return replace(estimate, hands=self.newest(tracked, hands.joints, sigma, hands))
        assert estimate.weights is not None
        weights = estimate.weights.to(samples.joints.device)
        joints = (weights[..., None, None] * samples.joints).sum(1)
        sigma = estimate.spread_scale * samples_sigma(samples.joints, weights)
        smoothed = self.newest(tracked, joints, sigma, hands)
        return replace(estimate, hands=smoothed, samples=moved_samples(samples, hands, smoothed))

    @torch.inference_mode()
    def newest(
        self, hands: TrackedHands, joints: Tensor, sigma: Tensor, fused: HandParameters
    ) -> HandParameters:
        """Return the smoothed hands of a frame, each in its own view.

        Args:
            joints: (n, 21, 3) mean of their samples. sigma: (n, 21) spread of the samples, with the
                factor that calibrates it; NaN where not known.
            fused: the frame's own estimate D*, fields (n, ...).
        """
        device = self._network.device
        views = hands.views.to(fused.rotation)
        seen = (joints @ views, sigma, fused.angles, views.mT @ fused.rotation)
        packed = torch.cat([value.flatten(1) for value in seen], dim=1).to(device)
        proportions = fused.proportions.to(device)
        frames = zip(hands.stamps_s, packed, proportions, certainty(sigma).tolist(), strict=True)
        tracks = []
        for track_id, side, frame in zip(
            hands.track_ids, hands.sides, map(_Frame._make, frames), strict=True
        ):
            if track_id is not None:
                tracks.append(self._taken_in(track_id, side, frame))
        if not tracks:
            return fused
        self._forget(max(hands.stamps_s))
        numbers = [i for i, track_id in enumerate(hands.track_ids) if track_id is not None]
        tracked = torch.tensor(numbers, device=views.device)
        window = self._batch(tracks).turned(views[tracked].to(device))
        proportions = torch.stack([track.proportions() for track in tracks])
        smoothed = to(rows(self._network.newest(window, proportions), (slice(None), 0)), views.device)
        if len(tracks) == len(fused.angles):
            return smoothed
        return HandParameters(
            *(old.index_copy(0, tracked, new) for old, new in zip(fused, smoothed, strict=True))
        )

    def _taken_in(self, track_id: int, side: str, frame: _Frame) -> _Track:
        track = self._tracks.get(track_id)
        if track is None or not track.continues(side, frame.stamp_s):
            track = self._tracks[track_id] = _Track(side, deque(maxlen=self._window))
        track.add(frame)
        return track

    def _forget(self, now_s: float) -> None:
        self._tracks = {
            key: track
            for key, track in self._tracks.items()
            if abs(now_s - track.frames[-1].stamp_s) <= _FORGOTTEN_S
        }

    def _batch(self, tracks: list[_Track]) -> HandWindow:
        """Return windows as long as the longest; shorter ones begin with invalid frames."""
        most = max(len(track.frames) for track in tracks)
        padded = [[track.frames[0]] * (most - len(track.frames)) + list(track.frames) for track in tracks]
        valid = [[False] * (most - len(track.frames)) + [True] * len(track.frames) for track in tracks]
        newest = [track.frames[-1].stamp_s for track in tracks]
        ages = [[one.stamp_s - last for one in frames] for frames, last in zip(padded, newest, strict=True)]
        packed = torch.stack([frame.packed for frames in padded for frame in frames])
        packed = packed.unflatten(0, (len(tracks), most))
        parts = packed.split([math.prod(shape) for shape in _PACKED], dim=-1)
        fields = (part.unflatten(-1, shape) for part, shape in zip(parts, _PACKED, strict=True))
        return HandWindow(packed.new_tensor(ages), torch.tensor(valid, device=packed.device), *fields)
