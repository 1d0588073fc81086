"""Keeps the size of each tracked hand: from the population, from what was given, and from depth images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from hand_pose_ros.estimator.estimate import EstimatedHands
from hand_pose_ros.estimator.hand_size import POPULATION_SPREAD, HandSize
from hand_pose_ros.estimator.size.known_depth import placement_spread, ratio_from_depth
from hand_pose_ros.estimator.size.population import POPULATIONS, Population
from hand_pose_ros.pose import Frame, HandPose

_EVERY: Final = (
    5  # frames of a track from one comparison with its depth image to the next: neighbours are alike
)
_MEMORY: Final = 100.0  # comparisons that count at most, so that a size that was wrong is corrected
_FEWEST: Final = 3
_UNKNOWN_PLACEMENT: Final = 0.03
_LONGEST_UNSEEN: Final = 900  # frames after which the size of a lost track is forgotten


@dataclass
class _Evidence:
    """Running mean and variance of measured sizes (m, m^2), and the part of their sigma that repeats (m)."""

    count: float = 0.0
    mean_m: float = 0.0
    variance: float = 0.0
    common_m: float = 0.0
    frames: int = 0
    unseen: int = 0

    def add(self, size_m: float, common_m: float) -> None:
        self.count = min(self.count + 1, _MEMORY)
        share = 1 / self.count
        offset = size_m - self.mean_m
        self.mean_m += share * offset
        self.variance += share * ((1 - share) * offset**2 - self.variance)
        self.common_m += share * (common_m - self.common_m)

    @property
    def size(self) -> HandSize | None:
        if self.count < _FEWEST:
            return None
        return HandSize(self.mean_m, math.sqrt(self.common_m**2 + self.variance / self.count))


class TrackSizes:
    """Gives every estimated hand its size, before it is placed, and learns from depth images afterwards.

    The size of a track persists while the hand is away. Adults without a given size and without depth images stay
    unknown, and are placed by the mean bone lengths of adults.
    """

    def __init__(self, given: HandSize | None = None, population: Population = POPULATIONS["adults"]) -> None:
        """``given``: size of all hands; None if it is not known. ``population``: who may be before the camera."""
        self._given = given
        self._population = population
        # The mean adult is what placement assumes without a size, from all bones instead of one.
        self._prior = None if population is POPULATIONS["adults"] else population.size()
        self._evidence: dict[int, _Evidence] = {}

    @property
    def given(self) -> HandSize | None:
        """The size that holds for all hands; None if it is not known."""
        return self._given

    def give(self, size: HandSize) -> None:
        """Use a size for all hands from now on; what was learnt before is forgotten."""
        self._given = size
        self._evidence.clear()

    def reset(self) -> None:
        """Forget what was learnt of single tracks, whose ids do not come back."""
        self._evidence.clear()

    def size(self, track_id: int | None) -> HandSize | None:
        """The size of a track; None if nothing is known of it but the population."""
        measured = None
        if track_id is not None and track_id in self._evidence:
            measured = self._evidence[track_id].size
        if measured is None:
            return self._given or self._prior
        if self._given is None:
            return self._population.size((measured,))
        weight = self._given.sigma_m**2 / max(self._given.sigma_m**2 + measured.sigma_m**2, 1e-12)
        mean = self._given.size_m + weight * (measured.size_m - self._given.size_m)
        return HandSize(mean, math.sqrt(weight) * measured.sigma_m)

    def sized(self, estimate: EstimatedHands) -> EstimatedHands:
        """Return the hands with their sizes."""
        sizes = tuple(self.size(one.track_id) for one in estimate.estimated)
        return estimate if all(one is None for one in sizes) else replace(estimate, sizes=sizes)

    def observe(self, frame: Frame, hands: Sequence[HandPose]) -> None:
        """Compare placed hands with the frame's depth image, if it has one."""
        for evidence in self._evidence.values():
            evidence.unseen += 1
        self._evidence = {key: one for key, one in self._evidence.items() if one.unseen < _LONGEST_UNSEEN}
        if frame.depth_m is None:
            return
        for pose in hands:
            if pose.valid and pose.track_id is not None:
                self._compare(frame, pose, pose.track_id)

    def _compare(self, frame: Frame, pose: HandPose, track_id: int) -> None:
        assert frame.depth_m is not None
        evidence = self._evidence.setdefault(track_id, _Evidence())
        evidence.unseen = 0
        evidence.frames += 1
        if evidence.frames % _EVERY != 1:
            return
        ratio = ratio_from_depth(pose, frame.camera, frame.depth_m)
        if ratio is None:
            return
        size = self.size(track_id)
        placement = placement_spread(pose, POPULATION_SPREAD if size is None else size.spread)
        if not math.isfinite(placement):
            placement = _UNKNOWN_PLACEMENT
        size_m = ratio.value * pose.anchor_length_m
        evidence.add(size_m, size_m * math.hypot(ratio.spread, placement))
