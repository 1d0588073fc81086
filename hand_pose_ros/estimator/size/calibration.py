"""Measures the size of the user's hand from some seconds of images with evidence of the scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from hand_pose_ros.estimator.hand_size import POPULATION_SPREAD, HandSize
from hand_pose_ros.estimator.size.known_depth import (
    SizeRatio,
    open_hand,
    placement_spread,
    ratio_from_depth,
)
from hand_pose_ros.estimator.size.marker import MarkerScale
from hand_pose_ros.pose import Frame, HandPose

DEPTH, MARKER = "the depth image", "the marker"
_LEAST_FRAMES: Final = 8
_LEAST_SHARE: Final = 0.5  # of the frames with an open hand that must hold evidence
_UNKNOWN_PLACEMENT: Final = (
    0.03  # standard deviation of the distance for estimators that state none, as a share
)
_INDEPENDENT_EVERY: Final = 5  # frames: the noise of neighbouring ones is alike
_LARGEST_CONTRADICTION: Final = 3.0  # standard deviations between two kinds of evidence
_SMALLEST_M, _LARGEST_M = 0.03, 0.2


class ScaleRefusedError(ValueError):
    """The size was not measured; the message says why, and what to do."""


class ScaleMeasurement(NamedTuple):
    """A measured size. sources: where the scale came from. frames: number of frames with evidence."""

    size: HandSize
    sources: tuple[str, ...]
    frames: int


class ScaleCalibration:
    """Collects frames of one open hand; :meth:`measured` gives its size."""

    def __init__(self, marker: MarkerScale | None = None, in_use: HandSize | None = None) -> None:
        """Start without frames.

        Args:
            marker: finds the marker; None if there is none.
            in_use: size with which the poses are estimated, None if it is not known; for poses that do not state
                the sigma of their size.
        """
        self._marker = marker
        self._size_spread = POPULATION_SPREAD if in_use is None else in_use.spread
        self._frames = self._hands = self._crowded = self._open = self._with_depth = 0
        self._sizes: dict[str, list[float]] = {}
        self._spreads: dict[str, list[float]] = {}

    def add(self, frame: Frame, hands: Sequence[HandPose]) -> None:
        """Take a frame, with its depth image if there is one, and the hands that were estimated in it."""
        self._frames += 1
        self._with_depth += frame.depth_m is not None
        valid = [one for one in hands if one.valid]
        self._hands += len(valid) > 0
        self._crowded += len(valid) > 1
        if len(valid) != 1:
            return
        pose = valid[0]
        if not open_hand(pose):
            return
        self._open += 1
        known = np.isfinite(pose.size_sigma_m)
        size_spread = pose.size_sigma_m / pose.anchor_length_m if known else self._size_spread
        placement = placement_spread(pose, size_spread)
        if not np.isfinite(placement):
            placement = _UNKNOWN_PLACEMENT
        for source, ratio in self._ratios(frame, pose).items():
            self._sizes.setdefault(source, []).append(ratio.value * pose.anchor_length_m)
            self._spreads.setdefault(source, []).append(float(np.hypot(ratio.spread, placement)))

    def measured(self) -> ScaleMeasurement:
        """The size, from all evidence, with the standard deviation of what it may be wrong by.

        Raises:
            ScaleRefusedError: there is no sound evidence.
        """
        self._check_hand()
        counts = {source: len(sizes) for source, sizes in self._sizes.items()}
        enough = max(_LEAST_FRAMES, _LEAST_SHARE * self._open)
        sources = tuple(source for source, count in counts.items() if count >= enough)
        if not sources:
            raise ScaleRefusedError(self._why_no_evidence())
        sizes = [self._of_source(source) for source in sources]
        if len(sizes) > 1:
            difference = abs(sizes[0].size_m - sizes[1].size_m)
            if difference > _LARGEST_CONTRADICTION * np.hypot(sizes[0].sigma_m, sizes[1].sigma_m):
                values = " and ".join(
                    f"{1e3 * one.size_m:.0f} mm from {source}"
                    for source, one in zip(sources, sizes, strict=True)
                )
                raise ScaleRefusedError(
                    f"the evidence contradicts itself: a hand size of {values}; "
                    "check the size of the marker and the unit of the depth image"
                )
        weights = np.array([1 / one.sigma_m**2 for one in sizes])
        size_m = float((weights * [one.size_m for one in sizes]).sum() / weights.sum())
        if not _SMALLEST_M <= size_m <= _LARGEST_M:
            raise ScaleRefusedError(
                f"the measured hand size, {size_m:.3f} m, is not that of a hand "
                f"({_SMALLEST_M} to {_LARGEST_M} m); check the size of the marker and the unit of the depth image"
            )
        # The estimate's own error is common to all kinds of evidence, so more of them do not shrink it.
        sigma_m = min(one.sigma_m for one in sizes)
        return ScaleMeasurement(HandSize(size_m, sigma_m), sources, max(counts[one] for one in sources))

    def _ratios(self, frame: Frame, pose: HandPose) -> dict[str, SizeRatio]:
        ratios = {}
        if frame.depth_m is not None:
            ratios[DEPTH] = ratio_from_depth(pose, frame.camera, frame.depth_m)
        if self._marker is not None:
            ratios[MARKER] = self._marker.ratio(frame.image_bgr, frame.camera, pose)
        return {source: ratio for source, ratio in ratios.items() if ratio is not None}

    def _of_source(self, source: str) -> HandSize:
        sizes = np.array(self._sizes[source])
        size_m = float(np.median(sizes))
        scatter = 1.4826 * float(np.median(np.abs(sizes - size_m)))
        noise_m = scatter / np.sqrt(max(len(sizes) / _INDEPENDENT_EVERY, 1.0))
        common_m = size_m * float(np.median(self._spreads[source]))
        return HandSize(size_m, float(np.hypot(noise_m, common_m)))

    def _check_hand(self) -> None:
        if not self._frames:
            raise ScaleRefusedError("no image came: is the node active, and the camera running?")
        if self._hands < _LEAST_FRAMES:
            raise ScaleRefusedError(
                f"a hand was seen in {self._hands} of {self._frames} images only; hold an open hand into view"
            )
        if self._crowded > self._frames / 2:
            raise ScaleRefusedError("more than one hand is in view; hold up one")
        if self._open < _LEAST_FRAMES:
            raise ScaleRefusedError(
                f"an open hand was seen in {self._open} of {self._frames} images only; spread the fingers, "
                "with the palm or the back of the hand to the camera"
            )

    def _why_no_evidence(self) -> str:
        tried = []
        if self._with_depth:
            tried.append("the depth image does not show the hand where the colour image does, is it aligned?")
        if self._marker is not None:
            tried.append("no marker was found in the plane of the hand")
        ways = (
            "one camera alone cannot see the size of a hand. Give it one of these: a depth image, aligned to the "
            "colour image, on the topic depth; a printed ArUco or AprilTag marker in the plane of the hand, with "
            "its size in the parameter scale_marker_m; a second calibrated camera, by triangulate() of the Python "
            "library. Or measure your hand with a ruler and set hand_length_m"
        )
        return "; ".join([*tried, ways])
