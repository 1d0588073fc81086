"""Scores of a detector on images with one labelled hand, or none: found, on the right side, where, and false."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np

from hand_pose_ros.detection.detector import HandDetector
from hand_pose_ros.detection.finders import PALM_KEYPOINTS, Palm, PalmFinder
from hand_pose_ros.evaluation.detection.images import SceneImage
from hand_pose_ros.evaluation.metrics import joint_errors

_SAME_HAND: Final = 0.5  # distance, as a share of the hand's extent


class SearchingDetector(HandDetector, Protocol):
    """A detector whose palm finder is scored by itself, too."""

    @property
    def palms(self) -> PalmFinder:
        """Searches the whole image."""
        ...


@dataclass
class Counts:
    """Counts over images.

    images, hands: their numbers. palms: hands at which the palm finder has one. false_palms: its other palms.
    found: hands that the whole detector finds. side: those of the right side. false: its other hands. errors: of
    each found hand, mean distance of its landmarks as a share of its extent.
    """

    images: int = 0
    hands: int = 0
    palms: int = 0
    false_palms: int = 0
    found: int = 0
    side: int = 0
    false: int = 0
    errors: list[float] = field(default_factory=list)

    def row(self) -> list[str]:
        """Cells of a table: palms, false palms, found, side, false hands, median error."""
        error = f"{100 * float(np.median(self.errors)):.1f} %" if self.errors else "-"
        return [
            _share(self.palms, self.hands),
            f"{self.false_palms / max(self.images, 1):.3f}",
            _share(self.found, self.hands),
            _share(self.side, self.found),
            f"{self.false / max(self.images, 1):.3f}",
            error,
        ]


def score(detectors: dict[str, SearchingDetector], images: Iterable[SceneImage]) -> dict[str, Counts]:
    """Score detectors on the same images; each is reset before every image."""
    counts = {name: Counts() for name in detectors}
    for one in images:
        for name, detector in detectors.items():
            _count(counts[name], detector, one)
    return counts


def _count(counts: Counts, detector: SearchingDetector, test: SceneImage) -> None:
    counts.images += 1
    detector.reset()
    palms, hands = detector.palms.find(test.image), detector.detect(test.image)
    if test.points_px is None:
        counts.false_palms += len(palms)
        counts.false += len(hands)
        return
    counts.hands += 1
    points = test.points_px
    extent = float(np.nanmax(np.nanmax(points, 0) - np.nanmin(points, 0)))
    hit = any(_is_at(palm, points, extent) for palm in palms)
    counts.palms += hit
    counts.false_palms += len(palms) - hit
    errors = [
        float(np.nanmean(joint_errors(hand.landmarks_px, points))) / extent
        for hand in hands
        if hand.landmarks_px is not None
    ]
    if not errors or min(errors) > _SAME_HAND:
        counts.false += len(hands)
        return
    best = int(np.argmin(errors))
    counts.found += 1
    counts.side += hands[best].side == test.side
    counts.false += len(hands) - 1
    counts.errors.append(errors[best])


def _is_at(palm: Palm, points: np.ndarray, extent: float) -> bool:
    known = points[list(PALM_KEYPOINTS)]
    known = known[np.isfinite(known).all(1)]
    if not len(known):
        return False
    return bool(np.hypot(*(palm.keypoints_px.mean(0) - known.mean(0))) < _SAME_HAND * extent)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"
